-- Builds that ask for builds: which one asked for a buildset, and what it is to it, for people.
ALTER TABLE buildsets ADD COLUMN parent_buildid BIGINT REFERENCES builds (id);
ALTER TABLE buildsets ADD COLUMN parent_relationship TEXT;
CREATE INDEX buildsets_parent ON buildsets (parent_buildid, id);
-- The requests in the queue for whose builds others wait.
CREATE INDEX build_requests_waited_for ON build_requests (waited_for, buildsetid)
    WHERE claimed_at IS NULL AND complete_at IS NULL;
