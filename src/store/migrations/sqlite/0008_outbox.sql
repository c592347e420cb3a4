-- Mail that is written and not yet sent: see `store::outbox`. The two files of this version differ as the first ones do. A number is
-- never given again, since an operator names a letter by it.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- How it goes: `mail`.
    channel TEXT NOT NULL,
    -- What it is about: `worker_missing`, `worker_returned`, `build`, `test`.
    kind TEXT NOT NULL,
    -- The name of the reporter that wrote it, and by whose relay it goes.
    reporter TEXT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    sender TEXT NOT NULL,
    -- Addresses: JSON.
    recipients TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- All of it, as it goes over the wire.
    message BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_try_at BIGINT NOT NULL,
    last_error TEXT,
    given_up_at BIGINT
);
CREATE INDEX outbox_due ON outbox (next_try_at, id) WHERE given_up_at IS NULL;
CREATE INDEX outbox_given_up ON outbox (id) WHERE given_up_at IS NOT NULL;

-- When it was last told that this worker is missing. It counts for the absence that began before it.
ALTER TABLE workers ADD COLUMN missing_reported_at BIGINT;
-- Whose absence is or may be told, and whose return.
CREATE INDEX workers_absent ON workers (id) WHERE configured = 1 AND connected_to IS NULL;
CREATE INDEX workers_reported ON workers (id) WHERE missing_reported_at IS NOT NULL;

-- Builds of a worker that may have been lost with it: those that ended with an exception or are tried again.
CREATE INDEX builds_lost ON builds (workerid, complete_at) WHERE results IN (4, 5);
