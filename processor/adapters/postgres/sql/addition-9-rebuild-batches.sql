-- Rebuilds list their rows in batches. rebuild_after: key of the last row that is listed, [] before the first one, null when
-- all are; rebuild_listed: the number of listed rows.
ALTER TABLE aggregations ADD COLUMN rebuild_after jsonb, ADD COLUMN rebuild_listed bigint NOT NULL DEFAULT 0;
