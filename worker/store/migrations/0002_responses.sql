-- What the stateful API keeps, what makes a request safe to repeat, and what is
-- put back into the transcripts of stateless clients.

-- An owner is the Store that is at work on a row which is not finished yet.
ALTER TABLE runs ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- What each response added to its history. A turn outlives its response for as
-- long as another turn descends from it.
CREATE TABLE turns (
	id         INTEGER PRIMARY KEY,
	parent_id  INTEGER REFERENCES turns (id),
	transcript BLOB NOT NULL
) STRICT;

CREATE INDEX turns_by_parent ON turns (parent_id);

CREATE TABLE responses (
	turn_id      INTEGER PRIMARY KEY REFERENCES turns (id),
	id           TEXT NOT NULL UNIQUE,
	previous_id  TEXT NOT NULL,
	conversation TEXT NOT NULL,
	place        INTEGER NOT NULL DEFAULT 0, -- in its conversation, from 1; 0: it has none
	run_id       TEXT NOT NULL,
	status       TEXT NOT NULL CHECK (status IN ('queued', 'in_progress', 'completed', 'failed', 'incomplete', 'cancelled')),
	background   INTEGER NOT NULL,
	owner        TEXT NOT NULL,
	used         INTEGER NOT NULL UNIQUE, -- counts uses of all responses; no clock is as exact
	created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX responses_by_place ON responses (conversation, place) WHERE place > 0;
CREATE INDEX responses_in_flight ON responses (status) WHERE status IN ('queued', 'in_progress');

-- Apart from the above, which every use of a response changes.
CREATE TABLE response_bodies (
	turn_id      INTEGER PRIMARY KEY REFERENCES responses (turn_id) ON DELETE CASCADE,
	instructions TEXT NOT NULL,
	body         BLOB NOT NULL,
	input        BLOB NOT NULL
) STRICT;

CREATE TABLE conversations (
	name    TEXT PRIMARY KEY,
	head_id TEXT NOT NULL, -- the last response that was its head, stored or not
	places  INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
	scope        TEXT NOT NULL,
	key          TEXT NOT NULL,
	body_hash    BLOB NOT NULL,
	run_id       TEXT NOT NULL,
	response_id  TEXT NOT NULL,
	owner        TEXT NOT NULL,
	running      INTEGER NOT NULL,
	interrupted  INTEGER NOT NULL DEFAULT 0,
	status       INTEGER NOT NULL DEFAULT 0,
	content_type TEXT NOT NULL DEFAULT '',
	body         BLOB NOT NULL DEFAULT x'',
	expires_at   INTEGER NOT NULL DEFAULT 0, -- 0 while running
	PRIMARY KEY (scope, key)
) STRICT;

CREATE INDEX idempotency_in_flight ON idempotency (running) WHERE running;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at) WHERE expires_at > 0;

-- Turns of chats whose clients send back only what they were shown.
CREATE TABLE chat_turns (
	id   INTEGER PRIMARY KEY,
	hash BLOB NOT NULL UNIQUE,
	size INTEGER NOT NULL,
	used INTEGER NOT NULL UNIQUE
) STRICT;

CREATE TABLE chat_turn_messages (
	id       INTEGER PRIMARY KEY REFERENCES chat_turns (id) ON DELETE CASCADE,
	messages BLOB NOT NULL
) STRICT;

-- One row: what the two above amount to, so that no put has to add them up.
CREATE TABLE chat_totals (
	turns INTEGER NOT NULL,
	bytes INTEGER NOT NULL
) STRICT;

INSERT INTO chat_totals (turns, bytes) VALUES (0, 0);

CREATE TRIGGER chat_turns_added AFTER INSERT ON chat_turns BEGIN
	UPDATE chat_totals SET turns = turns + 1, bytes = bytes + new.size;
END;

CREATE TRIGGER chat_turns_removed AFTER DELETE ON chat_turns BEGIN
	UPDATE chat_totals SET turns = turns - 1, bytes = bytes - old.size;
END;
