-- Roles that the pipeline has granted access to its results, so that it revokes only what it granted.
ALTER TABLE pipeline ADD COLUMN readers text[] NOT NULL DEFAULT '{}';
