import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dashboardFiles } from '#grafana/generate.ts'
import { RUNBOOK } from '#grafana/runbook.ts'
import { DASHBOARDS, dashboardOf, interpolated, type Panel, panelsOf, queryOf, textOf } from './dashboards.ts'
import { groupedBy, selectorsIn, seriesIn, servedMetrics } from './metrics.ts'
import { alerts } from './rules.ts'

const served = await servedMetrics()
const targetsOf = (file: string) =>
  panelsOf(file).flatMap(({ title, targets = [] }) => targets.map(t => ({ title, ...t })))

describe.each(DASHBOARDS)('%s', file => {
  const dashboard = dashboardOf(file)
  const panels = panelsOf(file)

  it('equals the output of npm run dashboards', () => {
    expect(textOf(file)).toBe(dashboardFiles().get(file))
  })

  it('gives the dashboard an id and a description, and each panel a title, description and unit', () => {
    expect(dashboard.uid).toMatch(/^[a-z-]{4,40}$/)
    expect(dashboard.description.length).toBeGreaterThan(20)
    expect(panels.length).toBeGreaterThan(6)
    for (const { title, description, fieldConfig } of panels) {
      expect(title).toMatch(/^\S.{2,50}$/)
      expect({ title, words: description?.length ?? 0 }).toMatchObject({ title, words: expect.toSatisfy(n => n > 10) })
      expect({ title, unit: fieldConfig?.defaults.unit }).toEqual({ title, unit: expect.any(String) })
    }
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
  })

  it('queries the chosen data source in every panel, and names none', () => {
    for (const { title, targets = [], datasource } of panels) {
      expect({ title, targets: targets.length }).toEqual({ title, targets: expect.toSatisfy(n => n > 0) })
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
      for (const source of [datasource, ...targets.map(target => target.datasource)])
        expect({ title, uid: source?.uid }).toEqual({ title, uid: `\${datasource}` })
    }
    const types = new Set(panels.map(({ datasource }) => datasource!.type))
    expect(dashboard.templating.list.filter(({ type }) => type === 'datasource').map(queryOf)).toEqual([...types])
  })

  it('places panels without overlap', () => {
    expect(dashboard.panels.map(({ id }) => id)).toEqual(dashboard.panels.map((_, index) => index + 1))
    const cells = new Set<string>()
    for (const { title, gridPos } of dashboard.panels) {
      for (const cell of cellsOf(gridPos)) {
        expect({ title, cell, taken: cells.has(cell) }).toEqual({ title, cell, taken: false })
        cells.add(cell)
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
    }
  })

  it('uses only variables that it defines', () => {
    const values = Object.fromEntries(dashboard.templating.list.map(({ name }) => [name, 'x']))
    const known = { ...values, __rate_interval: '1m', __timeFilter: 'f' }
    for (const { title, expr, rawSql } of targetsOf(file))
      expect(() => interpolated((expr ?? rawSql)!, known), title).not.toThrow()
  })

  it('sorts the thresholds of each panel in ascending order', () => {
    for (const { title, fieldConfig } of panels) {
      const values = fieldConfig!.defaults.thresholds!.steps.map(({ value }) => value)
      expect({ title, first: values[0] }).toEqual({ title, first: null })
      expect(values.slice(1)).toEqual(values.slice(1).toSorted((a, b) => a! - b!))
    }
  })
})

function cellsOf({ x, y, w, h }: Panel['gridPos']): string[] {
  return Array.from({ length: w * h }, (_, i) => `${x + (i % w)}/${y + Math.floor(i / w)}`)
}

it('tests every dashboard in the folder', () => {
  expect(readdirSync(join(import.meta.dirname, '../../grafana/dashboards')).sort()).toEqual(DASHBOARDS)
})

describe('queries of pipeline.json', () => {
  const targets = targetsOf('pipeline.json')

  it('queries only series that our processes serve, by labels that they have', () => {
    expect(served.size).toBeGreaterThan(60)
    for (const { title, expr } of targets) {
      const names = seriesIn(expr!)
      expect({ title, names: names.length }).toEqual({ title, names: expect.toSatisfy(n => n > 0) })
      expect({ title, unknown: names.filter(name => !served.has(name)) }).toEqual({ title, unknown: [] })
      for (const { series, labels } of selectorsIn(expr!))
        expect({ title, series, unknown: labels.filter(label => !served.get(series)!.has(label)) }).toMatchObject({
          unknown: [],
        })
      const labels = new Set(names.flatMap(name => [...served.get(name)!]))
      expect({ title, unknown: groupedBy(expr!).filter(label => !labels.has(label)) }).toEqual({ title, unknown: [] })
    }
  })

  it('queries only the chosen pipeline, wherever series have that label', () => {
    for (const { title, expr } of targets) {
      const bare = seriesIn(expr!).filter(
        name =>
          served.get(name)!.has('pipeline') &&
          !new RegExp(`${name}\\{pipeline="\\$pipeline"|${name}\\{[^}]*, pipeline="\\$pipeline"`).test(expr!),
      )
      expect({ title, bare }).toEqual({ title, bare: [] })
    }
  })

  it('shows every metric except those for other purposes', () => {
    const shown = new Set(targets.flatMap(({ expr }) => seriesIn(expr!)))
    const hidden = [...served.keys()].filter(
      name => name.startsWith('salespipeline_') && !/_(sum|count)$/.test(name) && !shown.has(name),
    )
    expect(hidden).toEqual([
      // Skipped records and missed windows are for comparisons with the log.
      'salespipeline_skipped_offsets_total',
      'salespipeline_missed_windows_total',
      // The autoscaler uses it; the dashboard shows busy_ratio.
      'salespipeline_busy_seconds_total',
      // The dashboard shows the delay of rows; this is the duration of their batches.
      'salespipeline_projection_duration_seconds_bucket',
    ])
  })
})

it('links panels only to existing sections of alerts', () => {
  const links = DASHBOARDS.flatMap(file => panelsOf(file).flatMap(({ links = [] }) => links.map(({ url }) => url)))
  const sections = new Set(alerts().map(({ alert }) => `${RUNBOOK}#${alert.toLowerCase()}`))
  expect(links.length).toBeGreaterThan(20)
  expect(links.filter(url => !sections.has(url))).toEqual([])
})
