-- The first form of the database. The two files of this version differ only in how a key is made and in the type of bytes.
-- Instants are microseconds since 1970 (UTC); flags are 0 or 1; JSON is text.

CREATE TABLE masters (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Numbers without gaps whose order is the order of commits: the row stays locked until its transaction ends.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO counters (name, last) VALUES ('events', 0), ('generations', 0);

CREATE TABLE generations (
    id INTEGER PRIMARY KEY,
    committed_at BIGINT NOT NULL,
    -- Why: `start`, `file`, `sighup`, `reconfig`, several with a comma between.
    cause TEXT NOT NULL,
    workers BIGINT NOT NULL,
    builders BIGINT NOT NULL,
    schedulers BIGINT NOT NULL
);

-- A name that the configuration no longer has keeps its row, so that history stays readable.
CREATE TABLE workers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    configured BIGINT NOT NULL,
    info TEXT NOT NULL DEFAULT '{}',
    -- Given no builds, until somebody says otherwise.
    paused BIGINT NOT NULL DEFAULT 0,
    pause_reason TEXT,
    paused_by TEXT,
    paused_at BIGINT,
    -- Its program is told to stop once its builds are done.
    graceful BIGINT NOT NULL DEFAULT 0,
    graceful_reason TEXT,
    graceful_by TEXT,
    graceful_at BIGINT,
    connected_to BIGINT REFERENCES masters (id),
    last_connection_at BIGINT,
    absent_since_at BIGINT
);
CREATE INDEX workers_connected ON workers (connected_to) WHERE connected_to IS NOT NULL;

CREATE TABLE builders (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    configured BIGINT NOT NULL,
    description TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    last_number BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE builder_workers (
    builderid BIGINT NOT NULL REFERENCES builders (id),
    workerid BIGINT NOT NULL REFERENCES workers (id),
    PRIMARY KEY (builderid, workerid)
);
CREATE INDEX builder_workers_worker ON builder_workers (workerid, builderid);

CREATE TABLE schedulers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    configured BIGINT NOT NULL
);

CREATE TABLE buildsets (
    id INTEGER PRIMARY KEY,
    schedulerid BIGINT REFERENCES schedulers (id),
    reason TEXT NOT NULL,
    properties TEXT NOT NULL,
    submitted_at BIGINT NOT NULL,
    -- Requests without an outcome.
    open_requests BIGINT NOT NULL,
    -- The gravest outcome so far.
    worst BIGINT,
    complete_at BIGINT,
    results BIGINT
);
CREATE INDEX buildsets_scheduler ON buildsets (schedulerid, submitted_at);
CREATE INDEX buildsets_submitted ON buildsets (submitted_at, id);
CREATE INDEX buildsets_complete ON buildsets (complete_at, id);
CREATE INDEX buildsets_results ON buildsets (results, id);

CREATE TABLE build_requests (
    id INTEGER PRIMARY KEY,
    buildsetid BIGINT NOT NULL REFERENCES buildsets (id),
    builderid BIGINT NOT NULL REFERENCES builders (id),
    -- The priority with its sign turned, so that the queue's order is rising in all its columns.
    urgency BIGINT NOT NULL,
    submitted_at BIGINT NOT NULL,
    waited_for BIGINT NOT NULL DEFAULT 0,
    -- Builds that ended without an outcome for the request.
    attempts BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT,
    claimed_at BIGINT,
    claimed_by BIGINT REFERENCES masters (id),
    complete_at BIGINT,
    results BIGINT
);
-- The queue of a builder in its order: highest priority, then oldest.
CREATE INDEX build_requests_queue ON build_requests (builderid, urgency, id)
    WHERE claimed_at IS NULL AND complete_at IS NULL;
CREATE INDEX build_requests_buildset ON build_requests (buildsetid, id);
CREATE INDEX build_requests_builder ON build_requests (builderid, id);
CREATE INDEX build_requests_submitted ON build_requests (submitted_at, id);
CREATE INDEX build_requests_complete ON build_requests (complete_at, id);
CREATE INDEX build_requests_results ON build_requests (results, id);

CREATE TABLE builds (
    id INTEGER PRIMARY KEY,
    number BIGINT NOT NULL,
    builderid BIGINT NOT NULL REFERENCES builders (id),
    buildrequestid BIGINT NOT NULL REFERENCES build_requests (id),
    workerid BIGINT NOT NULL REFERENCES workers (id),
    masterid BIGINT NOT NULL REFERENCES masters (id),
    started_at BIGINT NOT NULL,
    complete_at BIGINT,
    results BIGINT,
    state_string TEXT NOT NULL,
    properties TEXT NOT NULL,
    UNIQUE (builderid, number)
);
CREATE INDEX builds_request ON builds (buildrequestid, id);
CREATE INDEX builds_worker ON builds (workerid, id);
CREATE INDEX builds_started ON builds (started_at, id);
CREATE INDEX builds_complete ON builds (complete_at, id);
CREATE INDEX builds_results ON builds (results, id);

CREATE TABLE steps (
    id INTEGER PRIMARY KEY,
    buildid BIGINT NOT NULL REFERENCES builds (id),
    number BIGINT NOT NULL,
    name TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    complete_at BIGINT,
    results BIGINT,
    state_string TEXT NOT NULL,
    hidden BIGINT NOT NULL DEFAULT 0,
    urls TEXT NOT NULL DEFAULT '[]',
    UNIQUE (buildid, number)
);
CREATE INDEX steps_open ON steps (id) WHERE complete_at IS NULL;

CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    stepid BIGINT NOT NULL REFERENCES steps (id),
    -- Whose disk holds the file.
    masterid BIGINT NOT NULL REFERENCES masters (id),
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    -- `open`, `plain` (closed, not compressed), `zstd`, or `inline` (its bytes are in `content`).
    form TEXT NOT NULL,
    num_lines BIGINT NOT NULL DEFAULT 0,
    num_bytes BIGINT NOT NULL DEFAULT 0,
    content BLOB,
    UNIQUE (stepid, slug)
);
CREATE INDEX logs_unsettled ON logs (form, id) WHERE form IN ('open', 'plain');

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    about BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX events_kind ON events (kind, id);
