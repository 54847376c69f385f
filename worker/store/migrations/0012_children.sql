-- A session of a task that an agent has handed on belongs to the session that did,
-- and each of its runs to the run that did.
ALTER TABLE sessions ADD COLUMN parent_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN parent_run_id TEXT NOT NULL DEFAULT '';
