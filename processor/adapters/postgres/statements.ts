/**
 * SQL over the tables that every pipeline has. Names are qualified and quoted here; values are always parameters.
 * Statements over an aggregation's own table are in aggregate-statements.ts, migrations in sql/.
 */
import pg from 'pg'
import { leaseStatements } from './outbox-lease.ts'
import { outboxStatements, type Table } from './outbox-statements.ts'

export const quoted = pg.escapeIdentifier

/** Returns what the catalogue stores for a projection: it is another one if the index or the owner is. */
export const projectionTarget = (index: string, ownerId: string) => `${index}/${ownerId}`

/** Microseconds of PostgreSQL's clock; exact, because extract() is numeric. */
export const CLOCK_MICROS = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint'

/** System identifier and timeline. (pg_control_checkpoint() shows a new timeline only after the next checkpoint.) */
export const SERVER = `(SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
  FROM pg_control_system())`

const PROGRESS_COLUMNS = `p.partition, p.epoch, p.token, p.next_offset, coalesce(p.counted_lines, 0) AS next_line,
  p.restore_offset, p.restore_max_event_time, p.max_event_time, p.sources, p.leader_epoch`

const COUNTERS = ['records', 'skipped', 'dead', 'duplicate', 'accepted']
const AGGREGATION_COUNTERS = ['late', 'on_time', 'partly_late', 'missed_windows', 'added', 'missed']

export type Statements = ReturnType<typeof statementsOf>

/** `schema`: its name, not quoted. */
export function statementsOf(schema: string) {
  const t = (name: string) => `${quoted(schema)}.${quoted(name)}`
  return {
    table: t,
    ...claimStatements(t),
    ...commitStatements(t),
    ...upkeepStatements(t),
    ...outboxStatements(t),
    ...leaseStatements(t),
    ...expulsionStatements(t),
  }
}

function claimStatements(t: Table) {
  return {
    /** $1 partition, $2 token, $3 generation, $4 backend pid, $5 start, $6 identity. No row: another spec is current. */
    claim: `
      UPDATE ${t('progress')} AS p
      SET epoch = p.epoch + 1, token = $2, generation = $3, backend_pid = $4, idle_until = NULL,
        first_offset = coalesce(p.first_offset, $5), next_offset = coalesce(p.next_offset, $5),
        restore_offset = coalesce(p.restore_offset, $5)
      WHERE p.partition = $1 AND coalesce(p.generation, 0) <= $3
        AND EXISTS (SELECT FROM ${t('pipeline')} JOIN ${t('specs')} s USING (generation)
          WHERE generation = $3 AND s.identity = $6)
      RETURNING ${PROGRESS_COLUMNS}`,
    currentGeneration: `SELECT generation FROM ${t('pipeline')}`,
    /** $1 partition, $2 offset, $3 generation, $4 greatest event time before the offset. Not inside a record. */
    noteGeneration: `
      INSERT INTO ${t('spec_history')} AS h (partition, from_offset, generation, max_event_time, recorded_generation)
      SELECT $1::int, $2::bigint, $3::int, $4::bigint, $3::int
      WHERE $3 IS DISTINCT FROM
          (SELECT generation FROM ${t('spec_history')} WHERE partition = $1 ORDER BY from_offset DESC LIMIT 1)
        AND NOT EXISTS (SELECT FROM ${t('progress')} WHERE partition = $1 AND counted_lines > 0)
      ON CONFLICT (partition, from_offset) DO UPDATE SET generation = EXCLUDED.generation,
        max_event_time = EXCLUDED.max_event_time, recorded_generation = EXCLUDED.recorded_generation`,
    /** $1 partition. Oldest first. */
    history: `
      SELECT h.from_offset, h.max_event_time, h.recorded_generation IS NOT DISTINCT FROM h.generation AS recorded,
        s.document::text AS document
      FROM ${t('spec_history')} h JOIN ${t('specs')} s USING (generation)
      WHERE h.partition = $1 ORDER BY h.from_offset`,
    /** $1 partition, $2 restore offset. Returns the segment that contains it and all later ones. */
    segments: `
      SELECT h.from_offset, h.generation, s.document::text AS document
      FROM ${t('spec_history')} h JOIN ${t('specs')} s USING (generation)
      WHERE h.partition = $1 AND h.from_offset >= coalesce(
        (SELECT max(from_offset) FROM ${t('spec_history')} WHERE partition = $1 AND from_offset <= $2), 0)
      ORDER BY h.from_offset`,
    rejectedOffsets: `
      SELECT record_offset FROM ${t('dead_letters')}
      WHERE topic_id = $1 AND partition = $2 AND record_offset >= $3 AND reason = 'store_rejected'
      ORDER BY record_offset`,
    /** Ends the connection that locks a partition's row, if it is one of ours: $1 partition, $2 start of our names. */
    endHolder: `
      SELECT pg_terminate_backend(a.pid, 1000) AS ended
      FROM ${t('progress')} p JOIN pg_stat_activity a ON a.backend_xid = p.xmax
      WHERE p.partition = $1 AND starts_with(a.application_name, $2) AND a.pid <> pg_backend_pid()`,
    positions: `SELECT partition, next_offset FROM ${t('progress')}`,
    inspect: `
      SELECT ${PROGRESS_COLUMNS} FROM ${t('progress')} p
      WHERE p.partition = ANY ($1::int[]) AND p.next_offset IS NOT NULL ORDER BY p.partition FOR UPDATE`,
    /** Skips locked rows, because a claim or commit is using them. $1 partitions, $2 epochs, $3 tokens, $4 ms. */
    renewIdle: `
      UPDATE ${t('progress')} AS p SET idle_until = clock_timestamp() + $4 * interval '1 millisecond'
      WHERE p.partition IN (
        SELECT q.partition FROM ${t('progress')} q
        JOIN unnest($1::int[], $2::bigint[], $3::text[]) AS o (partition, epoch, token)
          ON q.partition = o.partition AND q.epoch = o.epoch AND q.token = o.token
        FOR UPDATE OF q SKIP LOCKED)`,
    /** Changes nothing; returns the partitions that still have this owner: $1 partitions, $2 epochs, $3 tokens. */
    keepProgress: `
      WITH mine AS (
        SELECT q.partition FROM ${t('progress')} q
        JOIN unnest($1::int[], $2::bigint[], $3::text[]) AS o (partition, epoch, token)
          ON q.partition = o.partition AND q.epoch = o.epoch AND q.token = o.token
        ORDER BY q.partition FOR UPDATE OF q)
      UPDATE ${t('progress')} AS p SET epoch = p.epoch FROM mine WHERE p.partition = mine.partition
      RETURNING p.partition`,
    deadLetterBytes: `SELECT coalesce(sum(octet_length(payload)), 0)::bigint AS bytes FROM ${t('dead_letters')}`,
  }
}

function commitStatements(t: Table) {
  const increments = (columns: string[], from: string) => columns.map(c => `${c} = p.${c} + ${from}.${c}`).join(', ')
  return {
    lockProgress: `SELECT FROM ${t('progress')} WHERE partition = ANY ($1::int[]) ORDER BY partition FOR UPDATE`,
    /** READ COMMITTED checks the condition again on the newest row. $19: expected number of rows. */
    advanceProgress: `
      WITH advanced AS (
        UPDATE ${t('progress')} AS p
        SET next_offset = c.next_offset, counted_lines = nullif(c.next_line, 0),
          counted_lines_of = CASE WHEN c.next_line > 0 THEN c.next_offset END, restore_offset = c.restore_offset,
          restore_max_event_time = c.restore_max_event_time, max_event_time = c.max_event_time,
          agreed_time = c.agreed_time, sources = c.sources, leader_epoch = c.leader_epoch,
          backend_pid = pg_backend_pid(), idle_until = NULL,
          ${increments(COUNTERS, 'c')}
        FROM unnest($1::int[], $2::bigint[], $3::text[], $4::bigint[], $5::int[], $6::bigint[], $7::int[], $8::bigint[],
          $9::bigint[], $10::bigint[], $11::int[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
          $16::bigint[], $17::bigint[], $18::text[])
          AS c (partition, epoch, token, from_offset, from_line, next_offset, next_line, restore_offset,
            restore_max_event_time, max_event_time, leader_epoch, ${COUNTERS.join(', ')}, agreed_time, sources)
        WHERE p.partition = c.partition AND p.epoch = c.epoch AND p.token = c.token AND p.next_offset = c.from_offset
          AND coalesce(p.counted_lines, 0) = c.from_line
        RETURNING 1)
      SELECT ${t('assert_rows')}((SELECT count(*) FROM advanced), $19)`,
    countAggregations: `
      INSERT INTO ${t('progress_aggregations')} AS p (partition, aggregation, ${AGGREGATION_COUNTERS.join(', ')})
      SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[]) AS c (partition, aggregation)
      ORDER BY c.partition, c.aggregation COLLATE "C"
      ON CONFLICT (partition, aggregation) DO UPDATE SET ${increments(AGGREGATION_COUNTERS, 'EXCLUDED')}`,
    insertLate: `
      INSERT INTO ${t('late_events')} (partition, record_offset, aggregation, event_time, missed, entirely, payload)
      SELECT partition, record_offset, aggregation, event_time, missed::timestamptz[], entirely, payload
      FROM unnest($1::int[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::boolean[], $7::bytea[])
        AS r (partition, record_offset, aggregation, event_time, missed, entirely, payload)
      ORDER BY partition, record_offset, aggregation COLLATE "C"`,
    insertDead: `
      INSERT INTO ${t('dead_letters')} (topic_id, partition, record_offset, reason, field, record_timestamp, record_key,
        headers, payload, payload_bytes, payload_sha256, detail, counted_lines)
      SELECT $1, partition, record_offset, reason, field, record_timestamp, record_key, headers, payload, payload_bytes,
        payload_sha256, detail, nullif(counted_lines, 0)
      FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::bytea[], $8::jsonb[],
        $9::bytea[], $10::bigint[], $11::text[], $12::text[], $13::int[])
        AS r (partition, record_offset, reason, field, record_timestamp, record_key, headers, payload, payload_bytes,
          payload_sha256, detail, counted_lines)
      ORDER BY partition, record_offset`,
    /** A time-out while COMMIT waits for a synchronous standby would acknowledge a commit that may still be lost. */
    waitForStandby: 'SET LOCAL statement_timeout = 0',
  }
}

function upkeepStatements(t: Table) {
  return {
    /** $1 lock's name. The lock is held until the end of the transaction. */
    tryLock: 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS held',
    /**
     * The pipeline watermark (docs/semantics.md, section 5). $1 out-of-orderness, $2 generation, $3 ms that the clock
     * trails when all partitions are idle, null to hold, $4 whether several sources must agree. `everywhere`: the event time that even idle ones have passed.
     */
    advanceWatermark: `
      WITH seen AS (
        SELECT CASE WHEN $4::boolean THEN agreed_time ELSE max_event_time END AS time, coalesce(idle_until > clock_timestamp(), false) AS idle FROM ${t('progress')}
      ), heard AS (
        SELECT bool_and(idle) AS all_idle,
          CASE WHEN bool_and(idle OR time IS NOT NULL) THEN min(time) FILTER (WHERE NOT idle) END AS awake,
          CASE WHEN bool_and(time IS NOT NULL) THEN min(time) END AS everywhere
        FROM seen
      )
      UPDATE ${t('pipeline')} AS p
      SET watermark = GREATEST(p.watermark, h.awake - $1::bigint,
        CASE WHEN h.all_idle THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $3::bigint END)
      FROM heard h WHERE p.generation = $2
      RETURNING p.watermark, h.everywhere - $1::bigint AS everywhere`,
    /** Returns whether the server or its timeline has changed. */
    serverChanged: `SELECT server <> ${SERVER} AS moved FROM ${t('pipeline')}`,
    noteServer: `UPDATE ${t('pipeline')} SET server = ${SERVER}`,
    /** Deletes at most $2 rows whose `column` is at or before $1. */
    removeOld: (table: string, column: string, key: string[]) => {
      const columns = key.map(quoted).join(', ')
      return `
      DELETE FROM ${t(table)} WHERE (${columns}) IN (
        SELECT ${columns} FROM ${t(table)} WHERE ${quoted(column)} <= $1::timestamptz
        ORDER BY ${quoted(column)} LIMIT $2 FOR UPDATE)`
    },
    /** Rejected records must stay stored while they may be read again to rebuild the deduplication set. */
    removeOldDead: `
      DELETE FROM ${t('dead_letters')} WHERE (topic_id, partition, record_offset) IN (
        SELECT d.topic_id, d.partition, d.record_offset
        FROM ${t('dead_letters')} d LEFT JOIN ${t('progress')} p USING (topic_id, partition)
        WHERE d.record_timestamp <= $1::timestamptz
          AND (d.reason <> 'store_rejected' OR p.restore_offset IS NULL OR d.record_offset < p.restore_offset)
        ORDER BY d.record_timestamp LIMIT $2 FOR UPDATE OF d)`,
  }
}

/** How long a member id is kept: longer than a process that was cut off takes to come back. */
const EXPELLED_FOR = "interval '7 days'"

function expulsionStatements(t: Table) {
  return {
    /** $1 member. */
    expel: `
      WITH forgotten AS (DELETE FROM ${t('expelled')} WHERE expelled_at < clock_timestamp() - ${EXPELLED_FOR})
      INSERT INTO ${t('expelled')} (member) VALUES ($1) ON CONFLICT DO NOTHING`,
    isExpelled: `SELECT EXISTS (SELECT FROM ${t('expelled')} WHERE member = $1) AS is`,
  }
}
