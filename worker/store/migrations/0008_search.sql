-- Full-text search over what was said, lists of tasks, and runs that ended with
-- a question.

-- From here on text is what can be read and searched of every message. Messages
-- of before have it in their bodies, which are JSON with {"parts": [{"text": …}]}.
UPDATE messages SET text = (
	SELECT coalesce(substr(group_concat(json_extract(part.value, '$.text'), ''), 1, 16000), '')
	FROM json_each(CAST(messages.body AS TEXT), '$.parts') AS part
)
WHERE role <> 'tool' AND text = '' AND json_valid(CAST(body AS TEXT));

-- What is searched of a message: all of what people write, the beginning of the
-- output of a tool that printed a book.
CREATE VIEW message_texts AS SELECT id, substr(text, 1, 16000) AS text FROM messages;

-- It keeps words and where they are, but no second copy of the text.
CREATE VIRTUAL TABLE message_search USING fts5 (text, content = 'message_texts', content_rowid = 'id', tokenize = 'unicode61');

-- What is not in the index yet. To put a message there costs more than the commit
-- that it is part of, so it is done when nobody waits, or when somebody searches.
CREATE TABLE unindexed (
	id INTEGER PRIMARY KEY -- of the message
) STRICT;

INSERT INTO unindexed (id) SELECT id FROM messages WHERE text <> '';

CREATE TRIGGER messages_added AFTER INSERT ON messages WHEN new.text <> '' BEGIN
	INSERT INTO unindexed (id) VALUES (new.id);
END;

CREATE TRIGGER messages_removed AFTER DELETE ON messages WHEN old.text <> '' BEGIN
	INSERT INTO message_search (message_search, rowid, text)
		SELECT 'delete', old.id, substr(old.text, 1, 16000) WHERE NOT EXISTS (SELECT 1 FROM unindexed WHERE id = old.id);
	DELETE FROM unindexed WHERE id = old.id;
END;

-- The tasks that an agent has set itself, as their writer encoded them.
CREATE TABLE session_tasks (
	session_id TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
	tasks      BLOB NOT NULL,
	changed_at INTEGER NOT NULL
) STRICT;

-- The run ended with a question to its user, whose answer is the next message.
ALTER TABLE runs ADD COLUMN awaiting_user INTEGER NOT NULL DEFAULT 0;
