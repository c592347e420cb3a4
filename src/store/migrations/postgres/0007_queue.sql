-- Which request begins to be due next, and which has waited for the longest time.
CREATE INDEX build_requests_due ON build_requests (not_before)
    WHERE claimed_at IS NULL AND complete_at IS NULL AND not_before IS NOT NULL;
CREATE INDEX build_requests_longest ON build_requests (builderid, waiting_since)
    WHERE claimed_at IS NULL AND complete_at IS NULL;
