/**
 * Inputs as real producers send them, read by the engine and by the verifier: both must have the same outcome, the right one.
 * Run it with `npm test -- test/field`.
 */
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { InputMonitor } from '#processor/input-monitor.ts'
import { aggregated, rowsOf } from '#test/verify/support.ts'
import { documentOf, engineShare, type Parts, verify } from './readers.ts'

type Outcome = { offset: number; dead: string } | { offset: number; time: string; values: (string | null)[] }

const instant = (ms: number) => new Date(ms).toISOString()

function byEngine(file: string, parts: Parts): Outcome[] {
  const { dead, raw } = engineShare(file, parts)
  return [
    ...dead.map(({ offset, reason, field }) => ({ offset, dead: `${reason} ${field}` })),
    ...raw.map(({ offset, eventTime, values }) => ({ offset, time: instant(eventTime), values })),
  ].sort((a, b) => a.offset - b.offset)
}

function byVerifier(file: string, parts: Parts): Outcome[] {
  const { recomputation } = verify(file, parts)
  const dead = rowsOf(recomputation.deadTable()).map(([, , offset, reason, field]) => ({
    offset: Number(offset),
    dead: `${reason} ${field}`,
  }))
  const raw = rowsOf(recomputation.rawTable()!).map(([, offset, , time, ...values]) => ({
    offset: Number(offset),
    time: instant(Number(time)),
    values: values as (string | null)[],
  }))
  return [...dead, ...raw].sort((a, b) => a.offset - b.offset)
}

function outcomes(file: string, parts: Parts): (string | null | undefined)[] {
  const engine = byEngine(file, parts)
  expect(byVerifier(file, parts)).toEqual(engine)
  return engine.map(outcome => ('dead' in outcome ? outcome.dead : (outcome.values.at(-1) ?? outcome.time)))
}

/** Returns the conditions that a worker raises about the records. */
function conditionsOf(file: string, parts: Parts): Record<string, string> {
  const raised: Record<string, string> = {}
  const compiled = compileSpec(checkPipeline(documentOf(parts)).spec)
  const monitor = new InputMonitor(compiled, {
    condition(code, message) {
      if (message !== null) raised[code] = message
    },
  })
  monitor.note([engineShare(file, parts)], 0)
  monitor.report(1000)
  return raised
}

const amount = (options: object = {}): Parts => ({
  event: { time: { path: 'ts' }, fields: [{ name: 'amount', type: 'decimal', ...options }] },
})

describe('amounts from binary floats', () => {
  it('rounds amounts from binary floats half-even where the field says so', () => {
    expect(outcomes('float-noise', amount({ rounding: 'half-even' }))).toEqual([
      '455.2',
      '0.3',
      '1299.99',
      '3899.97',
      '330.59',
    ])
  })

  it('makes amounts from binary floats dead letters without the option, with a condition that proposes rounding', () => {
    const dead = 'too_many_decimals amount'
    expect(outcomes('float-noise', amount())).toEqual([dead, dead, dead, dead, '330.59'])
    expect(conditionsOf('float-noise', amount())).toEqual({
      ManyDeadLetters:
        '4 of 5 records in the last minute: too_many_decimals at amount, such as: a number of the form 999.99999999999999, but scale is 2; set rounding or scale of the field',
    })
  })
})

describe('blanks and ids such as 17850.0', () => {
  const parts = (options: object, event: object = {}): Parts => ({
    event: { id: 'id', ...amount({ default: '0', ...options }).event, ...event },
    deduplication: {},
  })

  it('reads blanks as null and ids such as 17850.0 as integers where the document says so', () => {
    const lenient = parts({ blankAsNull: true }, { integralIds: true })
    expect(outcomes('blank', lenient)).toEqual(['0', '2'])
    expect(engineShare('blank', lenient).commit.counters).toMatchObject({ accepted: 2, duplicate: 1 })
    expect(verify('blank', lenient).counters).toMatchObject({ accepted: 2, duplicate: 1 })
  })

  it('makes blanks and ids such as 17850.0 dead letters without the options', () => {
    expect(outcomes('blank', parts({}))).toEqual(['bad_number amount', 'wrong_type id', 'wrong_type id'])
  })
})

describe('times', () => {
  const parts = (time: object): Parts => ({ event: { time: { path: 'ts', ...time }, fields: [] } })
  const NOON = '2026-11-29T12:00:00.000Z'

  it('reads times in every form that the document lists', () => {
    const formats = ['iso8601', 'dd/MM/yyyy HH:mm:ss', 'epoch']
    expect(outcomes('times', parts({ formats, unit: 's', zone: 'UTC' }))).toEqual([
      '2026-11-29T12:00:00.019Z',
      NOON,
      NOON,
      NOON,
      '2026-11-29T12:00:00.123Z',
      NOON,
      '2026-11-29T00:00:00.000Z',
      NOON,
      '2026-11-30T12:00:00.000Z',
      '2026-11-29T12:00:00.123Z',
    ])
  })

  it('makes times dead letters where their meaning is open', () => {
    const dead = 'bad_time ts'
    expect(outcomes('times', parts({ format: 'iso8601' })).slice(6)).toEqual([dead, dead, dead, dead])
    expect(outcomes('times', parts({}))).toEqual(Array(10).fill(dead))
  })

  it('uses the timestamps of Kafka records as event times where the document says so', () => {
    const record = { event: { time: { format: 'record-timestamp' }, fields: [] } }
    expect(new Set(outcomes('times', record))).toEqual(new Set(['2026-11-30T13:00:00.000Z']))
  })
})

it('counts seconds that are read as milliseconds, and names the likely unit', () => {
  const parts: Parts = { event: { time: { path: 'ts', format: 'epoch' }, fields: [] } }
  expect(outcomes('epoch-unit', parts).map(time => time!.slice(0, 10))).toEqual([
    ...Array(5).fill('1970-01-21'),
    ...Array(3).fill('2026-11-29'),
  ])
  expect(conditionsOf('epoch-unit', parts)).toEqual({
    EventTimesFarBehind: expect.stringMatching(
      /^5 of 8 records in the last minute have an event time more than 3650d before .* 1970-01-21T18:52:51\.833Z at partition 0 offset 0\. The values look like unit s, but spec\.event\.time\.unit is ms/,
    ),
  })
})

it('declares values that are not JSON dead', () => {
  expect(outcomes('not-json', amount())).toEqual(Array(6).fill('not_json null'))
  expect(conditionsOf('not-json', amount()).ManyDeadLetters).toMatch(
    /^6 of 6 records in the last minute: not_json, such as: NaN at byte 75; send one JSON object per record$/,
  )
})

describe('results', () => {
  it('round an average once', () => {
    const measures = [{ name: 'mean', op: 'average', of: 'amount', scale: 2 }]
    const parts = { ...amount({ scale: 4 }), aggregations: [{ name: 'all', measures }] }
    expect(outcomes('average', parts)).toEqual(['15.552', '36.116'])
    expect(engineShare('average', parts).aggregates[0]!.columns).toEqual([[516_680], [2]])
    const { spec, recomputation } = verify('average', parts)
    expect(aggregated(spec, recomputation).flat()).toEqual(expect.arrayContaining(['25.83']))
  })

  it('add the amount of an order once', () => {
    const parts: Parts = {
      event: {
        time: { path: 'created_at' },
        fields: [{ name: 'total_price', type: 'decimal' }],
        explode: { path: 'line_items', fields: [{ name: 'title' }] },
      },
      aggregations: [{ name: 'all', measures: [{ name: 'total', op: 'sum', of: 'total_price', per: 'events' }] }],
    }
    expect(outcomes('order-amount', parts)).toEqual(['Mug', 'Shirt'])
    expect(engineShare('order-amount', parts).aggregates[0]!.columns).toEqual([[9790]])
    const { spec, recomputation } = verify('order-amount', parts)
    expect(aggregated(spec, recomputation).flat()).toEqual(expect.arrayContaining(['97.9']))
  })
})
