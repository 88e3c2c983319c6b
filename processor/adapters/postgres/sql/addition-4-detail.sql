-- What a value that is not JSON looks like, for people. Null for other dead letters, and for those of releases up to 0.3.0.
ALTER TABLE dead_letters ADD COLUMN detail text;
