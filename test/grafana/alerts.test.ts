import { describe, expect, it } from 'vitest'
import { RUNBOOK } from '#grafana/runbook.ts'
import { codesWhere } from '#pipeline/conditions.ts'
import { groupedBy, selectorsIn, seriesIn, servedMetrics } from './metrics.ts'
import { alerts, allRules, mutants, readRuleTests } from './rules.ts'

const served = await servedMetrics()

it('gives every alert a severity, a summary, a description and a runbook section', () => {
  expect(alerts().length).toBeGreaterThan(15)
  for (const { alert, labels, annotations } of alerts()) {
    expect(alert).toMatch(/^SalesPipeline[A-Z]\w+$/)
    expect(Object.keys(labels!)).toEqual(['severity'])
    expect(['critical', 'warning']).toContain(labels!.severity)
    expect(annotations).toEqual({
      summary: expect.stringMatching(/^.{20,130}$/),
      description: expect.stringMatching(/^.{80,400}$/),
      runbook_url: `${RUNBOOK}#${alert.toLowerCase()}`,
    })
  }
  expect(new Set(alerts().map(({ alert }) => alert)).size).toBe(alerts().length)
})

it('queries only series that our processes serve, by labels that they have', () => {
  for (const { alert, record, expr } of allRules()) {
    const rule = alert ?? record
    const names = seriesIn(expr)
    expect({ rule, names: names.length }).toEqual({ rule, names: expect.toSatisfy(n => n > 0) })
    expect({ rule, unknown: names.filter(name => !served.has(name)) }).toEqual({ rule, unknown: [] })
    for (const { series, labels } of selectorsIn(expr))
      expect({ rule, series, unknown: labels.filter(label => !served.get(series)!.has(label)) }).toMatchObject({
        unknown: [],
      })
    const labels = new Set(names.flatMap(name => [...served.get(name)!]))
    expect({ rule, unknown: groupedBy(expr).filter(label => !labels.has(label)) }).toEqual({ rule, unknown: [] })
  }
})

it('uses every recorded series in an alert', () => {
  const used = new Set(alerts().flatMap(({ expr }) => seriesIn(expr)))
  expect(allRules().filter(({ record }) => record && !used.has(record))).toEqual([])
})

it('feeds only existing series and labels to the tests of the rules', () => {
  type Input = { input_series: { series: string }[] }
  const fed = (readRuleTests().tests as unknown as Input[]).flatMap(test => test.input_series)
  expect(fed.length).toBeGreaterThan(80)
  for (const { series } of fed) {
    const [{ series: name, labels } = { series, labels: [] as string[] }] = selectorsIn(series)
    expect({ series, there: served.has(name) }).toEqual({ series, there: true })
    expect({ series, unknown: labels.filter(label => !served.get(name)!.has(label)) }).toEqual({ series, unknown: [] })
  }
})

describe('the alert rules follow pipeline/conditions.ts:', () => {
  const exprOf = (name: string) => alerts().find(({ alert }) => alert === name)!.expr
  const informational = codesWhere(({ raisedBy, blocking }) => raisedBy === 'worker' && !blocking)

  it('NotReady excludes normal reasons, and conditions of workers, which have their own alerts', () => {
    const normal = codesWhere(({ types, blocking, alert }) => types.includes('Ready') && blocking && alert === null)
    const expr = exprOf('SalesPipelineNotReady')
    expect(expr).toContain(`salespipeline_operator_ready{reason!~"${normal.join('|')}"}`)
    expect(expr).toContain(`salespipeline_condition{code!~"${informational.join('|')}"}`)
  })

  it('Blocked excludes informational codes and those with their own alerts, so that a new code fires', () => {
    const own = codesWhere(
      ({ raisedBy, blocking, alert }) => raisedBy === 'worker' && blocking && alert !== 'SalesPipelineBlocked',
    )
    expect(exprOf('SalesPipelineBlocked')).toContain(
      `salespipeline_condition{code!~"${[...informational, ...own].join('|')}"}`,
    )
  })

  it('GuaranteeWeakened names the codes that weaken a guarantee', () => {
    const weaker = codesWhere(({ alert }) => alert === 'SalesPipelineGuaranteeWeakened')
    expect(exprOf('SalesPipelineGuaranteeWeakened')).toContain(`salespipeline_condition{code=~"${weaker.join('|')}"}`)
  })

  it('the table of conditions names existing alerts only', () => {
    const names = new Set<string | null>([null, ...alerts().map(({ alert }) => alert)])
    expect(codesWhere(({ alert }) => !names.has(alert))).toEqual([])
  })
})

it('finds tests and plantable faults for every alert', () => {
  const names = readRuleTests().tests.map(({ name }) => name)
  for (const { alert } of alerts()) {
    expect(names.filter(name => name.startsWith(alert.slice('SalesPipeline'.length))).length, alert).toBeGreaterThan(0)
    expect(mutants().filter(mutant => mutant.alert === alert).length, alert).toBeGreaterThan(1)
  }
})
