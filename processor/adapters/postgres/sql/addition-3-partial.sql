-- The greatest event time of the non-dead records before from_offset, stored for recorded_generation. Releases that do not
-- know the columns leave them as they are: then the generation differs.
ALTER TABLE spec_history ADD COLUMN max_event_time bigint, ADD COLUMN recorded_generation integer;

-- Event times of which the table may lack records (docs/semantics.md, section 5).
ALTER TABLE aggregations ADD COLUMN incomplete tstzmultirange NOT NULL DEFAULT '{}';
