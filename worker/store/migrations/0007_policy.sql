-- What was decided about each command that a model wanted to run. The rows name
-- their run but do not hang on it: a log that goes with what it is about is none.
CREATE TABLE decisions (
	id      INTEGER PRIMARY KEY,
	run_id  TEXT NOT NULL,
	call_id TEXT NOT NULL,
	tool    TEXT NOT NULL,
	command TEXT NOT NULL, -- without secrets, and cut when it is long
	denied  INTEGER NOT NULL CHECK (denied IN (0, 1)),
	class   TEXT NOT NULL,
	rule    TEXT NOT NULL,
	setting TEXT NOT NULL,
	at      INTEGER NOT NULL
) STRICT;
