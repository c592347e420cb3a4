-- When a step had its locks: when it began, unless it had to wait for them; NULL while it waits.
ALTER TABLE steps ADD COLUMN locks_acquired_at BIGINT;
