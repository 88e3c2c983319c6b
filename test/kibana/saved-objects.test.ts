import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SAVED_OBJECTS_FILE, savedObjectsFile } from '#kibana/generate.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { indexDefinitions } from '#processor/adapters/elasticsearch/mapping.ts'
import { dashboardOf, drawn, layerOf, type Panel, readSavedObjects } from './saved-objects.ts'

const EXAMPLE = resolve(import.meta.dirname, '../../k8s/examples/ecommerce.yaml')

const objects = readSavedObjects()
const { panelsJSON: panels } = dashboardOf(objects)
const view = objects.find(object => object.type === 'index-pattern')!
const text = readFileSync(SAVED_OBJECTS_FILE, 'utf8')

describe('kibana/saved-objects.ndjson', () => {
  it('equals the output of `npm run kibana`', () => {
    expect(text).toBe(savedObjectsFile())
  })

  it('writes saved objects in the format that Kibana accepts, checked by a schema that rejects other formats', () => {
    expect(objects.map(({ type }) => type)).toEqual(['index-pattern', 'dashboard'])
    for (const [from, to] of [
      ['"timeRestore"', '"timeRestored"'],
      ['\\"operationType\\":\\"sum\\"', '\\"operationType\\":\\"summe\\"'],
      ['\\"metricAccessor\\"', '\\"accessor\\"'],
      ['"panelsJSON":"[', '"panelsJSON":"'],
    ] as const)
      expect(() => readSavedObjects(replaced(from, to)), from).toThrow()
  })

  it('gives saved objects and panels unique names', () => {
    const names = [...objects.map(({ type, id }) => `${type} ${id}`), ...panels.map(({ panelIndex }) => panelIndex)]
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
    expect(panels.map(({ gridData }) => gridData.i)).toEqual(panels.map(({ panelIndex }) => panelIndex))
  })

  it('refers only to objects in the file, and repeats the references of panels in the dashboard', () => {
    const ours = new Set(objects.map(({ type, id }) => `${type} ${id}`))
    const own = panels.map(panel => ({ panel, references: panel.embeddableConfig.attributes.references }))
    const expected = own.flatMap(({ panel, references }) =>
      references.map(reference => ({ ...reference, name: `${panel.panelIndex}:${reference.name}` })),
    )
    const dashboard = objects.find(({ type }) => type === 'dashboard')!
    expect(dashboard.references).toEqual(expected)
    expect(expected.length).toBe(panels.length)
    expect(expected.filter(({ type, id }) => !ours.has(`${type} ${id}`))).toEqual([])
    for (const { panel, references } of own)
      expect(references.map(({ name }) => name)).toEqual([`indexpattern-datasource-layer-${layerOf(panel)[0]}`])
  })

  it('draws exactly the columns of its layer in each panel', () => {
    for (const panel of panels) {
      const [id, { columns, columnOrder }] = layerOf(panel)
      expect(Object.keys(columns), panel.title).toEqual(columnOrder)
      expect(drawn(panel).sort(), panel.title).toEqual([...columnOrder].sort())
      expect(JSON.stringify(panel.embeddableConfig.attributes.state.visualization)).toContain(`"layerId":"${id}"`)
      const bucketed = columnOrder.map(name => columns[name]!.isBucketed)
      expect(bucketed.lastIndexOf(true), 'buckets come first').toBeLessThan(bucketed.indexOf(false))
    }
  })

  it('places its panels on the 48 columns of a dashboard without overlap', () => {
    const taken = new Map<string, string>()
    for (const { title, gridData } of panels) {
      expect(gridData.x + gridData.w, title).toBeLessThanOrEqual(48)
      for (const cell of cellsOf(gridData)) {
        expect(taken.get(cell), `${title} at ${cell}`).toBeUndefined()
        taken.set(cell, title)
      }
    }
  })
})

describe('kibana/saved-objects.ndjson with the indices of the example', () => {
  const result = parsePipeline(readFileSync(EXAMPLE, 'utf8'))
  const definitions = indexDefinitions(compileSpec(result.spec))

  it('covers both indices in the data view, by their time field', () => {
    expect(view.attributes.title).toBe('transactions-*')
    expect(definitions.map(({ index }) => index)).toEqual(['transactions-aggregated', 'transactions-by-payment'])
    for (const { index, mappings } of definitions) {
      expect(index).toMatch(/^transactions-/)
      expect(mappings.properties[view.attributes.timeFieldName]).toEqual({ type: 'date' })
    }
  })

  it('reads one index in each panel, and fields of that index with suitable types', () => {
    const kinds = { sum: ['double', 'long'], terms: ['keyword'], date_histogram: ['date'] }
    for (const panel of panels) {
      const { properties } = definitions.find(({ index }) => index === indexOf(panel))!.mappings
      for (const { sourceField, operationType } of Object.values(layerOf(panel)[1].columns))
        expect(kinds[operationType], `${panel.title}: ${sourceField}`).toContain(properties[sourceField]?.type)
    }
  })

  it('uses time buckets as long as the windows', () => {
    const columns = panels.flatMap(panel => Object.values(layerOf(panel)[1].columns))
    const intervals = columns.flatMap(c => (c.operationType === 'date_histogram' ? [c.params.interval] : []))
    expect(intervals).toEqual([`${result.spec.window.size! / 60_000}m`])
  })
})

function replaced(from: string, to: string): string {
  expect(text).toContain(from)
  return text.replace(from, to)
}

const indexOf = (panel: Panel) => /^_index : "(.*)"$/.exec(panel.embeddableConfig.attributes.state.query.query)?.[1]

function* cellsOf({ x, y, w, h }: Panel['gridData']) {
  for (let i = x; i < x + w; i++) for (let j = y; j < y + h; j++) yield `${i},${j}`
}
