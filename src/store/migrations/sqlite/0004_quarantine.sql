-- A worker that fails builds is given none for a while: see `worker::quarantine`.
ALTER TABLE workers ADD COLUMN quarantine_cause TEXT;
ALTER TABLE workers ADD COLUMN quarantine_reason TEXT;
ALTER TABLE workers ADD COLUMN quarantined_at BIGINT;
ALTER TABLE workers ADD COLUMN quarantined_until BIGINT;
-- How often it was quarantined since its last good build, by cause: JSON, empty for most.
ALTER TABLE workers ADD COLUMN strikes TEXT NOT NULL DEFAULT '{}';
