-- The system prompt that a session began with, so that its later turns get the
-- same bytes. An index over the use would be written more often than it is read.
CREATE TABLE session_prompts (
	session_id TEXT PRIMARY KEY,
	prompt     BLOB NOT NULL,
	created_at INTEGER NOT NULL,
	used_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
