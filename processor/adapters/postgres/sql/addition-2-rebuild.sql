-- projection_checked_at: when a worker last compared rows with the sink. rebuild_rows: the number of rows that a rebuild of the
-- projection writes again; null if none is in progress.
ALTER TABLE pipeline ADD COLUMN projection_checked_at timestamptz;
ALTER TABLE aggregations ADD COLUMN rebuild_rows bigint;
