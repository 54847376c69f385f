-- Which history of a chat a run answers, for as long as its client has not heard
-- the end of it: after a crash that is how the next request finds what was done.
ALTER TABLE runs ADD COLUMN history BLOB NOT NULL DEFAULT x'';

CREATE INDEX runs_unheard ON runs (history) WHERE history <> x'';
