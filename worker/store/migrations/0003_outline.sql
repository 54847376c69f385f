-- What the stream of a response was like, so that it can be made again.
ALTER TABLE response_bodies ADD COLUMN outline BLOB NOT NULL DEFAULT x'';
