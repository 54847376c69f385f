-- What it takes to go on with a response in the background after its process died,
-- and how often that was done.
ALTER TABLE responses ADD COLUMN resumes INTEGER NOT NULL DEFAULT 0;

ALTER TABLE response_bodies ADD COLUMN request BLOB NOT NULL DEFAULT x'';
