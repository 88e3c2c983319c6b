-- The tables that every pipeline keeps (docs/tables.md). Runs with search_path set to the pipeline's schema.

CREATE TABLE pipeline (
  owner text NOT NULL,
  topic text NOT NULL,
  topic_id text NOT NULL,
  first_partitions integer NOT NULL,
  -- System identifier and timeline of the server. Another server may have lost rows that sinks already show.
  server text NOT NULL,
  watermark bigint,
  generation integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX pipeline_is_one_row ON pipeline ((true));

-- Updated by every commit; free space on each page lets PostgreSQL update rows in place.
CREATE TABLE progress (
  partition integer PRIMARY KEY,
  topic_id text NOT NULL,
  first_offset bigint,
  next_offset bigint,
  restore_offset bigint,
  restore_max_event_time bigint,
  max_event_time bigint,
  epoch bigint NOT NULL DEFAULT 0,
  token text,
  generation integer,
  leader_epoch integer,
  backend_pid integer,
  idle_until timestamptz,
  records bigint NOT NULL DEFAULT 0,
  skipped bigint NOT NULL DEFAULT 0,
  dead bigint NOT NULL DEFAULT 0,
  duplicate bigint NOT NULL DEFAULT 0,
  accepted bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

CREATE TABLE progress_aggregations (
  partition integer NOT NULL,
  aggregation text COLLATE "C" NOT NULL,
  late bigint NOT NULL,
  on_time bigint NOT NULL,
  partly_late bigint NOT NULL,
  missed_windows bigint NOT NULL,
  added bigint NOT NULL,
  missed bigint NOT NULL,
  PRIMARY KEY (partition, aggregation)
) WITH (fillfactor = 20);

CREATE TABLE specs (
  generation integer PRIMARY KEY,
  document jsonb NOT NULL,
  identity text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE spec_history (
  partition integer NOT NULL,
  from_offset bigint NOT NULL,
  generation integer NOT NULL,
  PRIMARY KEY (partition, from_offset)
);

-- The result tables. projection: the index that shows the aggregation; null if none does.
CREATE TABLE aggregations (
  name text COLLATE "C" PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('aggregation', 'raw')),
  identity text NOT NULL,
  generation integer NOT NULL,
  projection text
);

-- removed_version: the version of the tombstones; set if retention removed the rows. traces: W3C contexts of sampled
-- sales in the rows, for the projector's spans.
CREATE TABLE outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  aggregation text COLLATE "C" NOT NULL,
  rows integer NOT NULL,
  keys jsonb NOT NULL,
  removed_version bigint,
  traces text[],
  compacted boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE projection_errors (
  aggregation text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  error text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE late_events (
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  aggregation text COLLATE "C" NOT NULL,
  event_time timestamptz NOT NULL,
  missed timestamptz[] NOT NULL,
  entirely boolean NOT NULL,
  payload bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (partition, record_offset, aggregation)
);

CREATE TABLE dead_letters (
  topic_id text COLLATE "C" NOT NULL,
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  reason text NOT NULL,
  field text,
  record_timestamp timestamptz NOT NULL,
  record_key bytea,
  headers jsonb NOT NULL,
  payload bytea,
  payload_bytes bigint NOT NULL,
  payload_sha256 text,
  redriven_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic_id, partition, record_offset)
);

-- A pipelined transaction cannot react to a row count, so the database checks it.
CREATE FUNCTION assert_rows(counted bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF counted <> expected THEN
    RAISE EXCEPTION 'fenced: % of % partitions are where this commit counted from', counted, expected USING ERRCODE = 'SP001';
  END IF;
END
$$;

-- numerator / denominator, rounded half to even to the digits of `unit` (0.01), whose inverse is `factor` (100).
-- Division of numerics rounds half up, at a scale that PostgreSQL chooses. So whole numbers are divided and multiplied
-- by the unit, which is exact. PostgreSQL inlines one expression of immutable parts, which is ten times as fast.
CREATE FUNCTION divide_half_even(numerator numeric, denominator bigint, factor numeric, unit numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN denominator <> 0 THEN unit * (
    div(numerator * factor, denominator::numeric)
    + CASE
        WHEN 2 * abs(mod(numerator * factor, denominator::numeric)) > denominator THEN sign(numerator)
        WHEN 2 * abs(mod(numerator * factor, denominator::numeric)) = denominator
          THEN mod(div(numerator * factor, denominator::numeric), 2)
        ELSE 0
      END
  ) END
$$;
