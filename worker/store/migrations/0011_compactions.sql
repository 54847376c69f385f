-- How the beginning of a session's transcript is made short for the model, by the
-- hash of the messages that it is about, so that other branches have their own.
-- What it says is its writer's business. An index over the use would be written more
-- often than it is read.
CREATE TABLE compactions (
	session_id TEXT NOT NULL,
	hash       BLOB NOT NULL,
	body       BLOB NOT NULL,
	used_at    INTEGER NOT NULL,
	PRIMARY KEY (session_id, hash)
) STRICT, WITHOUT ROWID;
