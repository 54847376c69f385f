-- What a turn leaves behind. Rows of messages are only ever added. Times are
-- microseconds since 1970; 0 stands for "not yet".

CREATE TABLE sessions (
	id         TEXT PRIMARY KEY,
	source     TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_update ON sessions (updated_at);

CREATE TABLE runs (
	id               TEXT PRIMARY KEY,
	session_id       TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
	source           TEXT NOT NULL,
	request_id       TEXT NOT NULL,
	model            TEXT NOT NULL,
	status           TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'cancelled', 'interrupted')),
	error            TEXT NOT NULL DEFAULT '',
	iterations       INTEGER NOT NULL DEFAULT 0,
	input_tokens     INTEGER NOT NULL DEFAULT 0,
	output_tokens    INTEGER NOT NULL DEFAULT 0,
	cached_tokens    INTEGER NOT NULL DEFAULT 0,
	reasoning_tokens INTEGER NOT NULL DEFAULT 0,
	began_at         INTEGER NOT NULL,
	ended_at         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX runs_by_session ON runs (session_id, began_at);

-- Recovery looks for these; there are never more than turns that run at once.
CREATE INDEX runs_in_flight ON runs (status) WHERE status = 'running';

CREATE TABLE messages (
	id           INTEGER PRIMARY KEY,
	session_id   TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
	run_id       TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	role         TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
	tool_call_id TEXT NOT NULL DEFAULT '',
	text         TEXT NOT NULL DEFAULT '', -- of tool messages: all that they are
	body         BLOB,                     -- of the others: as their writer encoded them
	created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX messages_by_session ON messages (session_id);
CREATE INDEX messages_by_run ON messages (run_id);

CREATE TABLE tool_calls (
	run_id     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	id         TEXT NOT NULL,
	message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE, -- which asked for it
	position   INTEGER NOT NULL,                                            -- within that message, from 0
	name       TEXT NOT NULL,
	arguments  TEXT NOT NULL,
	status     TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done', 'failed', 'interrupted')),
	result_id  INTEGER REFERENCES messages (id) ON DELETE CASCADE,          -- the tool message that answers it
	started_at INTEGER NOT NULL DEFAULT 0,
	ended_at   INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (run_id, id)
) STRICT;

CREATE INDEX tool_calls_by_message ON tool_calls (message_id);
CREATE INDEX tool_calls_by_result ON tool_calls (result_id);
