-- Which session a turn of a chat belongs to. Its client sends no name of one.
ALTER TABLE chat_turns ADD COLUMN session_id TEXT NOT NULL DEFAULT '';
