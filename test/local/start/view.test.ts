import { describe, expect, it } from 'vitest'
import { renderView, statusLine, type View } from '#local/start/view.ts'

const NOW = Date.parse('2026-11-23T17:19:40.000Z')

const VIEW: View = {
  name: 'ecommerce',
  phase: 'running',
  elapsedMs: 83_000,
  now: NOW,
  sending: { rate: 100.4, sent: 8312 },
  committed: {
    rate: 99.6,
    records: 8309,
    dead: 2,
    duplicate: 1,
    late: { sales_summary: 0, sales_by_payment: 0 },
    toProject: 4,
  },
  lag: 3,
  watermark: NOW - 5600,
  delay: { p50: 0.0853, p99: 1.16 },
  tables: [
    {
      name: 'sales_summary',
      columns: ['window', 'category', 'revenue', 'orders', 'final'],
      rows: [
        ['2026-11-23 17:19:00', 'books', '1234.50', '11', 'false'],
        ['2026-11-23 17:19:00', 'toys', '-7.00', '2', 'false'],
        ['2026-11-23 17:18:00', 'books', '26572.79', '95', 'true'],
      ],
    },
    { name: 'sales_by_payment', columns: ['window', 'payment_method', 'final'], rows: [] },
  ],
  workers: [
    {
      name: 'worker-1',
      state: 'running',
      partitions: 4,
      rate: 50,
      busy: 0.061,
      restarts: 1,
      reasons: [],
      metrics: 'http://127.0.0.1:41000/metrics',
    },
    {
      name: 'worker-2',
      state: 'restarting',
      partitions: 0,
      rate: 0,
      busy: 0,
      restarts: 2,
      reasons: ['killed by SIGKILL'],
      metrics: 'http://127.0.0.1:null/metrics',
    },
  ],
  addresses: [
    ['Kafka', '127.0.0.1:19092, topic transactions'],
    ['Elasticsearch', 'http://127.0.0.1:9200/transactions-aggregated/_search (starting)'],
  ],
  news: ['17:19:39Z worker-2 killed by SIGKILL; restarting in 1 s'],
}

const TALL = { columns: 120, rows: 50 }

describe('the live view', () => {
  it('shows all figures, tables, workers, addresses and news', () => {
    expect(`\n${renderView(VIEW, TALL).join('\n')}\n`).toBe(`
ecommerce · running 1m 23s · Ctrl-C stops everything, a second Ctrl-C kills it

  sent           100/s, 8,312 in this run
  committed      100/s, 8,309 in all runs
  lag            3
  watermark      17:19:34Z (6 s ago)
  delay (10 s)   p50 85 ms, p99 1,160 ms
  not counted    2 dead letters, 1 duplicates, 0 late
  to project     4 rows

  sales_summary        category   revenue  orders  final
  2026-11-23 17:19:00  books      1234.50      11  false
  2026-11-23 17:19:00  toys         -7.00       2  false
  2026-11-23 17:18:00  books     26572.79      95  true

  sales_by_payment: no windows yet

  worker-1       4 partitions, 50/s, 6% busy, restarted once, http://127.0.0.1:41000/metrics
  worker-2       restarting, restarted 2 times – killed by SIGKILL

  Kafka          127.0.0.1:19092, topic transactions
  Elasticsearch  http://127.0.0.1:9200/transactions-aggregated/_search (starting)

  17:19:39Z worker-2 killed by SIGKILL; restarting in 1 s
`)
  })

  it('shows dashes for figures that are not known yet', () => {
    const unknown = { sending: null, committed: null, lag: null, watermark: null, delay: null, tables: [], news: [] }
    const lines = renderView({ ...VIEW, ...unknown }, TALL)
    expect(lines.slice(2, 8)).toEqual([
      '  sent           no load generator',
      '  committed      –',
      '  lag            –',
      '  watermark      –',
      '  delay (10 s)   –',
      '',
    ])
  })

  it('fits any terminal with fewer windows and cut lines', () => {
    const full = renderView(VIEW, TALL).length
    const lower = renderView(VIEW, { columns: 40, rows: full - 1 })
    expect(lower.length).toBeLessThan(full)
    expect(lower.filter(line => line.includes('17:18:00'))).toEqual([]) // the oldest window is left out
    expect(lower.slice(-2).join('')).toContain('worker-2 killed by SIGKILL;')
    expect(Math.max(...lower.map(line => line.length))).toBe(40)
    expect(renderView(VIEW, { columns: 40, rows: 5 })).toHaveLength(5)
  })

  it('keeps the newest news and wraps reasons, because their ends say what to do', () => {
    const reason = `SourceUnavailable: ${'the broker does not respond '.repeat(6)}; check advertised.listeners`
    const worker = { ...VIEW.workers[0]!, reasons: [reason] }
    const news = Array.from({ length: 6 }, (_, i) => `17:19:3${i}Z ${'server exited '.repeat(8)}see log ${i}`)
    const lines = renderView({ ...VIEW, workers: [worker], news }, { columns: 60, rows: 23 })
    expect(lines.length).toBeLessThanOrEqual(23)
    expect(lines.at(-1)).toMatch(/^ {4}.*see log 5$/)
    expect(lines.map(line => line.trim()).join(' ')).toContain('; check advertised.listeners')
    expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(60)
  })
})

describe('the status line', () => {
  it('shows the figures in one line, and why a worker is not ready', () => {
    expect(statusLine(VIEW)).toBe(
      '1m 23s running: sent 100/s, committed 100/s (not counted: 2 dead letters, 1 duplicates, 0 late), lag 3, 4 rows to project, watermark 17:19:34Z (6 s ago), ' +
        'delay p50 85 ms, p99 1,160 ms, 1 of 2 workers ready, restarted 3 times in all (worker-2: killed by SIGKILL)',
    )
  })

  it('shows every reason of each worker that is not ready, whole', () => {
    const reasons = ['Starting', `StoreUnavailable: ${'x'.repeat(300)}. Check spec.sinks.postgres.host`]
    const workers = ['worker-1', 'worker-2', 'worker-3'].map(name => ({ ...VIEW.workers[0]!, name, reasons }))
    workers[2]!.reasons = ['TopicMissing: create it']
    expect(statusLine({ ...VIEW, workers })).toContain(
      `0 of 3 workers ready, restarted 3 times in all (worker-1, worker-2: ${reasons.join('; ')} | worker-3: TopicMissing: create it)`,
    )
  })

  it('names each aggregation for which sales are late', () => {
    const late = { sales_summary: 9961, by_store: 0, by_payment: 2 }
    expect(statusLine({ ...VIEW, committed: { ...VIEW.committed!, late } })).toContain(
      'not counted: 2 dead letters, 1 duplicates, 9,961 late for sales_summary, 2 late for by_payment',
    )
  })
})
