-- The level of the walls around the commands of a run, '' where it is not known.
ALTER TABLE runs ADD COLUMN isolation TEXT NOT NULL DEFAULT '';
