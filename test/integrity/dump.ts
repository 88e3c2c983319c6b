import type { Rig } from './rig.ts'

/** Returns all rows that the log determines, as text, without versions, finality and times (contract, section 2). */
export async function dumpOf(rig: Rig, schema: string): Promise<string[]> {
  const tables = {
    sales_summary:
      'window_start, window_end, category, revenue, orders, items, average_order_sum, average_order_count, average_order, smallest, largest',
    sales_by_payment: 'window_start, window_end, payment_method, revenue, orders',
    sales_raw: 'partition, record_offset, line, event_time, category, payment_method, store, amount, quantity',
    late_events: 'partition, record_offset, aggregation, event_time, missed, entirely, payload',
    dead_letters: 'partition, record_offset, reason, field, record_timestamp, payload',
    progress: 'partition, next_offset, restore_offset, max_event_time, records, skipped, dead, duplicate, accepted',
  }
  const dumps = await Promise.all(
    Object.entries(tables).map(async ([table, columns]) => {
      const rows = await rig.query<{ row: string }>(
        `SELECT (t.*)::text AS row FROM (SELECT ${columns} FROM ${schema}.${table} ORDER BY 1, 2, 3) t`,
      )
      return rows.map(({ row }) => `${table} ${row}`)
    }),
  )
  return dumps.flat()
}
