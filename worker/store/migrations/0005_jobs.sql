-- Background jobs of the terminal tool. They belong to the profile: the run that
-- started one may have ended long ago, and may be gone.

CREATE TABLE jobs (
	id         TEXT PRIMARY KEY,
	session_id TEXT NOT NULL,
	run_id     TEXT NOT NULL,
	command    TEXT NOT NULL,
	dir        TEXT NOT NULL,
	terminal   INTEGER NOT NULL,
	status     TEXT NOT NULL CHECK (status IN ('running', 'ended', 'killed', 'lost')),
	ending     TEXT NOT NULL,    -- how it ended, in words
	received   INTEGER NOT NULL, -- bytes that it has written
	lines      INTEGER NOT NULL, -- line feeds among them
	file       TEXT NOT NULL,    -- which holds them from the beginning, if there are many
	owner      TEXT NOT NULL,
	began_at   INTEGER NOT NULL,
	ended_at   INTEGER NOT NULL,
	output     TEXT NOT NULL     -- the last of them; behind the others, which are read without it
) STRICT;

CREATE INDEX jobs_in_flight ON jobs (status) WHERE status = 'running';
