/** SQL over the outbox: filling it, the projector's queries, compaction and rebuilds. */

/** Returns the quoted name of a table in the pipeline's schema. */
export type Table = (name: string) => string

/** Rows per outbox entry at most, because a projector takes whole entries. */
const ENTRY_ROWS = 5000

/** Returns an INSERT of all rows (k jsonb) of `source` into the outbox, as entries. `more`: other columns, values. */
export function enqueue(
  outbox: string,
  aggregation: string,
  source: string,
  more: Record<string, string> = {},
): string {
  const columns = ['aggregation', 'rows', 'keys', ...Object.keys(more)].join(', ')
  const values = [aggregation, 'count(*)', 'jsonb_agg(k)', ...Object.values(more)].join(', ')
  return `
    INSERT INTO ${outbox} (${columns})
    SELECT ${values} FROM (SELECT *, (row_number() OVER () - 1) / ${ENTRY_ROWS} AS entry FROM ${source} s) e
    GROUP BY entry`
}

export function outboxStatements(t: Table) {
  const outbox = t('outbox')
  /** Aggregations that are projected into the index of this worker's spec: $1 names, $2 targets. */
  const currentProjections = `SELECT a.name FROM ${t('aggregations')} a
      JOIN unnest($1::text[], $2::text[]) AS mine (name, target) ON a.name = mine.name AND a.projection = mine.target`
  const projected = `o.aggregation IN (${currentProjections})`
  return {
    /** Begins a check of the sink, unless one began in the last $1 ms. The clock may be behind that of a former primary. */
    beginCheck: `
      UPDATE ${t('pipeline')} SET projection_checked_at = clock_timestamp()
      WHERE projection_checked_at IS NULL OR projection_checked_at NOT BETWEEN
        clock_timestamp() - $1 * interval '1 millisecond' AND clock_timestamp()`,
    /** `ends`: statements that return the ends of tables. Leaves out rows that wait. */
    sample: (ends: string[]) => `
      SELECT * FROM (${ends.join(' UNION ALL ')}) e WHERE NOT EXISTS (
        SELECT FROM ${outbox} o, jsonb_array_elements(o.keys) AS each (k) WHERE o.aggregation = e.name AND each.k = e.k)`,
    /** $1 names, $2 targets. */
    checkable: `${currentProjections} WHERE a.rebuild_rows IS NULL`,
    /** Rebuilds that have rows to list: names, rebuild_after, and how many listed rows wait. */
    listing: `
      SELECT a.name, a.rebuild_after AS after, coalesce((SELECT sum(o.rows) FROM ${outbox} o
        WHERE o.aggregation = a.name AND o.compacted), 0)::bigint AS waiting
      FROM ${t('aggregations')} a WHERE a.rebuild_after IS NOT NULL ORDER BY a.name`,
    /**
     * Rebuilds in progress, with the rows that are not listed or that wait. A rebuild enqueues compacted entries, and so
     * does a compaction of the outbox. $1, $2.
     */
    rebuilds: `
      SELECT a.name, a.rebuild_rows AS rows,
        CASE WHEN a.rebuild_after IS NULL THEN 0 ELSE GREATEST(a.rebuild_rows - a.rebuild_listed, 1) END
        + coalesce((SELECT sum(o.rows) FROM ${outbox} o WHERE o.aggregation = a.name AND o.compacted), 0)::bigint AS waiting
      FROM ${t('aggregations')} a WHERE a.rebuild_rows IS NOT NULL AND a.name IN (${currentProjections}) ORDER BY a.name`,
    endRebuilds: `
      UPDATE ${t('aggregations')} a SET rebuild_rows = NULL WHERE a.rebuild_rows IS NOT NULL AND a.rebuild_after IS NULL
        AND NOT EXISTS (SELECT FROM ${outbox} o WHERE o.aggregation = a.name AND o.compacted)`,
    /** $1 document ids. */
    rejectedAmong: `SELECT id FROM ${t('projection_errors')} WHERE id = ANY ($1::text[])`,
    /** Returns the oldest entries with about $3 rows in total, at least one entry. */
    oldest: `
      SELECT seq, aggregation, traces FROM (
        SELECT o.seq, o.aggregation, o.traces, sum(o.rows) OVER (ORDER BY o.seq) - o.rows AS before
        FROM (SELECT seq, aggregation, rows, traces FROM ${outbox} o WHERE ${projected} ORDER BY seq LIMIT 1000) o) e
      WHERE before < $3 ORDER BY seq`,
    waiting: `SELECT EXISTS (SELECT FROM ${outbox} o WHERE ${projected}) AS waiting`,
    pending: `SELECT coalesce(sum(o.rows), 0)::bigint AS rows FROM ${outbox} o WHERE ${projected}`,
    /** Run while no row waits: every row that a release up to 0.3.0 may have written was written again since then. */
    endReplacing: `
      UPDATE ${t('aggregations')} a SET replacing = false
      WHERE a.replacing AND NOT EXISTS (SELECT FROM ${outbox} o WHERE o.aggregation = a.name)
      RETURNING a.name`,
    confirm: `DELETE FROM ${outbox} WHERE seq = ANY ($1::bigint[])`,
    rejected: `SELECT count(*) AS rows FROM ${t('projection_errors')}`,
    /** $1 document ids, whose newest result from the sink replaces older ones. */
    forgetFaults: `DELETE FROM ${t('projection_errors')} WHERE id = ANY ($1::text[])`,
    fault: `
      INSERT INTO ${t('projection_errors')} (aggregation, id, version, error)
      SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[])`,
    /** Returns aggregations with more than $1 new entries, or $2 new rows, beyond those of the last compaction. */
    needCompaction: `
      SELECT aggregation FROM ${outbox} GROUP BY aggregation
      HAVING count(*) FILTER (WHERE NOT compacted) > $1 + count(*) FILTER (WHERE compacted)
        OR sum(rows) FILTER (WHERE NOT compacted) > $2 + coalesce(sum(rows) FILTER (WHERE compacted), 0)`,
    /**
     * $1 aggregation. Merges its entries so that each row is listed once, except entries that a confirmation locks.
     * Drops their traces, because a sink that is unavailable for so long shows in other ways.
     */
    compact: `
      WITH taken AS (
        DELETE FROM ${outbox} WHERE seq IN (
          SELECT seq FROM ${outbox} WHERE aggregation = $1 ORDER BY seq FOR UPDATE SKIP LOCKED)
        RETURNING keys, removed_version, created_at
      ), distinct_rows AS (
        SELECT k, max(removed_version) AS removed_version, min(created_at) AS created_at
        FROM taken, jsonb_array_elements(keys) AS each (k) GROUP BY k
      ), kept AS (${enqueue(outbox, '$1::text', '(SELECT * FROM distinct_rows WHERE removed_version IS NULL)', {
        compacted: 'true',
        created_at: 'min(created_at)',
      })})
      ${enqueue(outbox, '$1::text', '(SELECT * FROM distinct_rows WHERE removed_version IS NOT NULL)', {
        compacted: 'true',
        created_at: 'min(created_at)',
        removed_version: 'max(removed_version)',
      })}`,
  }
}
