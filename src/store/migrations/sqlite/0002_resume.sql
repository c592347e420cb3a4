-- What a running step's command is, so that the step can be taken up again: JSON, see `store::resume`. Of use only until the step
-- has its end.
ALTER TABLE steps ADD COLUMN resume TEXT;
