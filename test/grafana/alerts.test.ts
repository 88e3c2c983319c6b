import { expect, it } from 'vitest'
import { RUNBOOK } from '#grafana/runbook.ts'
import { INFORMATIONAL } from '#pipeline/conditions.ts'
import { groupedBy, selectorsIn, seriesIn, servedMetrics } from './metrics.ts'
import { alerts, allRules, mutants, readRuleTests } from './rules.ts'

const served = await servedMetrics()

it('has a severity, a summary, a description and a runbook section for every alert', () => {
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

it('alerts on every condition that blocks, and on none that only informs', () => {
  const codesOf = (name: string, operator: string) => {
    const { expr } = alerts().find(({ alert }) => alert === name)!
    return new RegExp(`salespipeline_condition\\{code${operator}"([^"]+)"`).exec(expr)![1]!.split('|')
  }
  expect(new Set(codesOf('SalesPipelineNotReady', '!~'))).toEqual(new Set(INFORMATIONAL))
  // These two also block, but have separate alerts.
  const own = ['ConservationViolated', 'ProjectionRejected']
  expect(new Set(codesOf('SalesPipelineBlocked', '!~'))).toEqual(new Set([...INFORMATIONAL, ...own]))
  for (const code of codesOf('SalesPipelineGuaranteeWeakened', '=~')) expect(INFORMATIONAL).toContain(code)
})

it('has tests and plantable faults for every alert', () => {
  const names = readRuleTests().tests.map(({ name }) => name)
  for (const { alert } of alerts()) {
    expect(names.filter(name => name.startsWith(alert.slice('SalesPipeline'.length))).length, alert).toBeGreaterThan(0)
    expect(mutants().filter(mutant => mutant.alert === alert).length, alert).toBeGreaterThan(1)
  }
})
