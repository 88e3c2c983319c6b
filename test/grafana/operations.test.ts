import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { CRD_FILE } from '#operator/crd/generate.ts'
import { desired } from '#operator/desired/desired.ts'
import { CONDITIONS } from '#pipeline/conditions.ts'
import { renderConditions, replaceSections } from '../../docs/conditions.ts'
import { observedOf } from '../operator/golden.ts'
import { commandsIn, OPERATIONS, sectionsOf, sourceText, statementsIn, VARIABLE } from './operations.ts'
import { alerts } from './rules.ts'

const ROOT = join(import.meta.dirname, '../..')
const sections = sectionsOf(OPERATIONS)
const anchors = new Set([...sections.keys()].map(anchorOf))

/** Returns the anchor that GitHub generates for a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

describe('docs/operations.md', () => {
  it.each(alerts().map(({ alert }) => alert))(
    'explains alert %s in docs/operations.md with meaning, impact, commands and actions',
    alert => {
      const section = sections.get(alert) ?? ''
      expect(section).toMatch(/\*\*Means:\*\*/)
      expect(section).toMatch(/\*\*Impact:\*\*/)
      expect(section).toMatch(/\*\*(Look|Look and do):\*\*|\*\*Do, in this order:\*\*|\| what to do \|/)
      expect(section).toMatch(/\*\*(Do|Look and do)(:|, in this order:)\*\*|\| what to do \|/)
      expect(commandsIn(section).length).toBeGreaterThan(0)
    },
  )

  it('explains only existing alerts in docs/operations.md', () => {
    const named = [...sections.keys()].filter(heading => heading.startsWith('SalesPipeline'))
    expect(named.sort()).toEqual(
      alerts()
        .map(({ alert }) => alert)
        .sort(),
    )
  })

  it('links only to existing headings and files', () => {
    const links = [...OPERATIONS.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!)
    expect(links.length).toBeGreaterThan(15)
    const dead = links.filter(target =>
      target.startsWith('#')
        ? !anchors.has(target.slice(1))
        : !existsSync(resolve(ROOT, 'docs', target.replace(/#.*/, ''))),
    )
    expect(dead).toEqual([])
  })

  it('names every condition and reason of the code, and no others', () => {
    const codes = Object.keys(CONDITIONS)
    expect(codes.length).toBeGreaterThan(35)
    const named = new Set([...OPERATIONS.matchAll(/`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`/g)].map(([, code]) => code!))
    expect(codes.filter(code => !named.has(code))).toEqual([])
    const source = sourceText()
    const rows = [...OPERATIONS.matchAll(/^\| `([A-Z]\w+)` \|/gm)].map(([, code]) => code!)
    for (const code of new Set([...codes, ...rows]))
      expect({ code, raised: new RegExp(`\\b${code}\\b`).test(source) }).toEqual({ code, raised: true })
  })

  it('shows in docs/operations.md the tables of conditions that npm run docs writes', () => {
    expect(renderConditions().length).toBe(4)
    expect(replaceSections(OPERATIONS, renderConditions())).toBe(OPERATIONS)
  })

  it('names only fields of the spec and the status that the CRD has', () => {
    const schema = parse(readFileSync(CRD_FILE, 'utf8')).spec.versions[0].schema.openAPIV3Schema
    const paths = [...OPERATIONS.matchAll(/(?<![\w.])\.?((?:spec|status)(?:\.[a-zA-Z]+)+)/g)].map(([, path]) => path!)
    expect(paths.length).toBeGreaterThan(15)
    expect([...new Set(paths)].filter(path => !isField(schema, path.split('.')))).toEqual([])
  })
})

type Node = { properties?: Record<string, Node>; items?: Node }

function isField(node: Node | undefined, [first, ...rest]: string[]): boolean {
  const child = (node?.properties ?? node?.items?.properties)?.[first!]
  // Fields of a pod's own status belong to Kubernetes and are not checked.
  if (first === 'containerStatuses') return true
  return child !== undefined && (rest.length === 0 || isField(child, rest))
}

describe('commands of docs/operations.md', () => {
  const commands = commandsIn(OPERATIONS)
  const objects = ['load-and-ingest', 'monitored', 'strimzi-tls'].flatMap(shape => desired(observedOf(shape)))

  it('finds commands to check', () => expect(commands.length).toBeGreaterThan(40))

  it('names only objects that the operator creates', () => {
    const created = new Set(
      objects.map(
        ({ kind, metadata }) =>
          `${kind.toLowerCase()}/${metadata.name.replace(/^(demo|sales|eu-sales)\b/, '$PIPELINE')}`,
      ),
    )
    const named = commands.flatMap(command => [
      ...[...command.matchAll(/(deployment)\/(\$PIPELINE[\w-]*)/g)].map(([, kind, name]) => `${kind}/${name}`),
      ...[...command.matchAll(/get (podmonitor|networkpolic)(?:s|ies) "(\$PIPELINE[\w-]*)"/g)].map(
        ([, kind, name]) => `${kind === 'podmonitor' ? kind : 'networkpolicy'}/${name}`,
      ),
    ])
    expect(named.length).toBeGreaterThan(4)
    expect(named.filter(name => !created.has(name))).toEqual([])
  })

  it('selects pods only by labels that they have', () => {
    const text = JSON.stringify(objects) + readFileSync(join(ROOT, 'k8s/operator/operator.yaml'), 'utf8')
    const selectors = commands.flatMap(command => [
      ...command.matchAll(/(app\.kubernetes\.io\/[\w-]+)=("\$PIPELINE"|[\w-]+)/g),
    ])
    expect(selectors.length).toBeGreaterThan(10)
    for (const [, label, value] of selectors) {
      const exists = value === '"$PIPELINE"' ? text.includes(`"${label}":"`) : hasLabel(text, label!, value!)
      expect({ label, value, exists }).toEqual({ label, value, exists: true })
    }
  })

  it('uses only variables that a command exports or that the text says to set', () => {
    const used = new Set(commands.flatMap(command => [...command.matchAll(VARIABLE)].map(([, name]) => name!)))
    expect(used.size).toBeGreaterThan(5)
    const isSet = (name: string) =>
      commands.some(command => command.startsWith('export ') && command.includes(` ${name}=`)) ||
      OPERATIONS.includes(`\`${name}\` to`) ||
      OPERATIONS.includes(`\`${name}\` and`)
    expect([...used].filter(name => !isSet(name))).toEqual([])
  })

  it('takes the schema from the variable in every SQL statement', () => {
    expect(OPERATIONS).not.toContain('shop_sales')
    const values = { SCHEMA: 'expanded', BLOCKER: '1' }
    const statements = commands.flatMap(command => statementsIn(command, values))
    expect(statements.filter(statement => statement.includes('$'))).toEqual([])
    const paths = statements.filter(statement => statement.startsWith('SET search_path'))
    expect(paths.length).toBeGreaterThan(6)
    expect(new Set(paths)).toEqual(new Set(['SET search_path = expanded']))
  })

  it('pauses in every mode of the autoscaler, and stops a block when workers are still running', () => {
    expect(commands.filter(command => /scale .*--replicas=0/.test(command))).toEqual([])
    const pauses = commands.flatMap((command, index) => (command.includes('"replicas":0') ? [index] : []))
    expect(pauses.length).toBeGreaterThan(2)
    for (const index of pauses) {
      expect(commands[index]).toMatch(/"autoscale":\{"mode":"observe"\}.* &&$/)
      expect(commands[index + 1]).toMatch(/ wait --for=delete pod /)
    }
  })

  it('restores a backup in one transaction, after workers have stopped', () => {
    const restore = commands.findIndex(command => command.includes('pg_restore'))
    expect(commands[restore]).toContain('--single-transaction')
    expect(commands.slice(restore - 3, restore).filter(command => !command.endsWith(' &&'))).toEqual([])
  })

  it('runs only scripts of package.json, and only known programs', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const run = commands.flatMap(command =>
      [...command.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name!),
    )
    expect(run.length).toBeGreaterThan(0)
    expect(run.filter(name => !(name in scripts))).toEqual([])
    const programs = new Set(commands.map(command => command.split(' ')[0]))
    expect([...programs].sort()).toEqual(['curl', 'export', 'helm', 'kubectl', 'npm'])
  })
})

/** The chart, not the operator, sets this label: on the StatefulSet, or on the Service of the CloudNativePG Cluster. */
const CHART_SELECTOR = 'app.kubernetes.io/name=postgres'
const hasLabel = (text: string, label: string, value: string) =>
  `${label}=${value}` === CHART_SELECTOR ||
  text.includes(`"${label}":"${value}"`) ||
  text.includes(`${label}: ${value}`)
