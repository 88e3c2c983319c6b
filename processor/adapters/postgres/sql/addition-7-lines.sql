-- While a record with very many lines is counted in several commits: how many of its lines are counted, and its offset, which is
-- next_offset then. The constraint stops a worker of a release up to 0.3.0, which does not know the columns: it would count
-- these lines again.
ALTER TABLE progress ADD COLUMN counted_lines integer, ADD COLUMN counted_lines_of bigint,
  ADD CONSTRAINT counted_lines_of_next_record CHECK (counted_lines_of = next_offset);
-- Lines that were counted before the store rejected a later line of the record; null: none.
ALTER TABLE dead_letters ADD COLUMN counted_lines integer;
