-- The random part of the owner of everything that the pipeline stores outside of this schema.
ALTER TABLE pipeline ADD COLUMN owner_id text NOT NULL DEFAULT gen_random_uuid()::text;

-- inherited: the index that a release up to 0.3.0 filled. replacing: documents that it wrote are still to be removed.
ALTER TABLE aggregations ADD COLUMN inherited text, ADD COLUMN replacing boolean NOT NULL DEFAULT false;
UPDATE aggregations SET inherited = projection;
