-- A digest of what a request would build, by which a newer one finds those that are alike: see `store::collapse`. Without one, a
-- request gives way to no other.
ALTER TABLE build_requests ADD COLUMN collapse_key TEXT;
-- The worker with which its last build was lost: another one is better.
ALTER TABLE build_requests ADD COLUMN avoid_worker TEXT;
-- Why it is complete, where no build says it.
ALTER TABLE build_requests ADD COLUMN ended_because TEXT;
-- Since when it waits for a worker: since it was submitted, or since it came back.
ALTER TABLE build_requests ADD COLUMN waiting_since BIGINT NOT NULL DEFAULT 0;
UPDATE build_requests SET waiting_since = submitted_at;
-- The requests of a builder that wait and may give way, by what they would build.
CREATE INDEX build_requests_alike ON build_requests (builderid, collapse_key, urgency)
    WHERE claimed_at IS NULL AND complete_at IS NULL AND waited_for = 0 AND collapse_key IS NOT NULL;
