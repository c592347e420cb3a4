-- How far reporters have come: what was told of the events up to this one is in the outbox.
CREATE TABLE report_cursors (
    name TEXT PRIMARY KEY,
    event BIGINT NOT NULL
) WITHOUT ROWID;
