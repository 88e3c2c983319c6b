-- Which take of the outbox may be confirmed: one row. token: null if nobody holds the lease. The dot keeps the name free of
-- those that an aggregation can have.
CREATE TABLE "outbox.lease" (token text, renewed_at timestamptz NOT NULL DEFAULT '-infinity');
CREATE UNIQUE INDEX "outbox.lease.is_one_row" ON "outbox.lease" ((true));
INSERT INTO "outbox.lease" DEFAULT VALUES;
