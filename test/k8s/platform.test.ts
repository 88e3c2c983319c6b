/**
 * k8s/platform/install.sh with a helm and a kubectl that only write down how they were called. The chart repositories
 * cannot be had for tests: that the charts take these values is by their documentation, not shown.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { operators, PLATFORM, README, rowsOf } from './platform-readme.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const INSTALL = join(PLATFORM, 'install.sh')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platform-'))
  mkdirSync(join(folder, 'bin'))
  for (const name of ['helm', 'kubectl']) fake(name)
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('k8s/platform/install.sh', () => {
  it('parses install.sh as a shell script and shows its help', () => {
    execFileSync('bash', ['-n', INSTALL])
    expect(run('--help')).toMatchObject({ status: 0, calls: [], out: expect.stringContaining('--without NAME') })
  })

  it('installs all but CloudNativePG, each in the version that the README names, and waits', () => {
    const { status, calls, out } = run()
    expect(status).toBe(0)
    expect(out).toContain('Cluster: a-cluster')
    const names = ['monitoring', 'strimzi', 'eck']
    expect(namesOf(calls)).toEqual(names)
    for (const name of names) expectInstalled(name, calls)
  })

  it('brings definitions up to date that Helm leaves alone, before what needs them', () => {
    const { calls } = run()
    const applied = calls.filter(call => call.startsWith('kubectl apply --server-side --force-conflicts'))
    expect(applied.map(call => call.replace(/^.*charts-of-the-test\//, ''))).toEqual([
      'kube-prometheus-stack/charts/crds/crds',
      'strimzi-kafka-operator/crds',
    ])
    for (const [i, name] of ['monitoring', 'strimzi'].entries())
      expect(calls.indexOf(applied[i]!)).toBeLessThan(calls.findIndex(call => call.includes(`--install ${name} `)))
  })

  it('adds CloudNativePG and leaves out what it is told to', () => {
    const { status, calls } = run('--with', 'cnpg', '--without', 'monitoring', '--without', 'eck')
    expect(status).toBe(0)
    expect(namesOf(calls)).toEqual(['strimzi', 'cnpg'])
    expectInstalled('cnpg', calls)
  })

  it('refuses what it does not understand before it does anything', () => {
    for (const args of [['--with', 'kafka'], ['--with'], ['--without', 'cnpg'], ['cnpg'], ['--dry-run']]) {
      const { status, calls, err } = run(...args)
      expect({ status, calls }, args.join(' ')).toEqual({ status: 1, calls: [] })
      expect(err).toContain(`unknown option: ${args[0]}`)
    }
  })

  it.each([
    ['kubectl config', /kubectl has no current context/],
    ['helm pull oci:', /strimzi: cannot fetch the chart/],
    ['kubectl apply', /monitoring: cannot apply the CRDs/],
    ['helm upgrade --install strimzi', /helm status strimzi --namespace strimzi-system\n {2}kubectl get pods,events/],
  ])('stops where %s fails, and says what to look at', (failing, said) => {
    const { status, calls, err } = run({ failing })
    expect(status).toBe(1)
    expect(err).toMatch(said)
    expect(calls.at(-1)).toMatch(new RegExp(`^${failing}`))
  })

  it('leaves nothing behind', () => {
    run()
    run({ failing: 'helm upgrade' })
    expect(readdirSync(join(folder, 'tmp'))).toEqual([])
  })

  it('says which program is missing', () => {
    rmSync(join(folder, 'bin/helm'))
    const { status, err } = run({ path: join(folder, 'bin') })
    expect({ status, err }).toEqual({ status: 1, err: 'helm is not on the PATH: install it\n' })
  })
})

describe('k8s/platform/values', () => {
  it('provides one values file for each operator, each with a request of memory', () => {
    expect(readdirSync(join(PLATFORM, 'values')).sort()).toEqual([...operators.keys()].map(n => `${n}.yaml`).sort())
    for (const name of operators.keys()) expect(memoryOf(name), name).toBeGreaterThan(0)
  })

  it('makes Prometheus take what is in any namespace and of any release', () => {
    const { prometheusSpec } = valuesOf('monitoring').prometheus
    const selectors = Object.entries(prometheusSpec).filter(([key]) => key.endsWith('SelectorNilUsesHelmValues'))
    expect(selectors.map(([key]) => key.replace(/Selector.*/, '')).sort()).toEqual([
      'podMonitor',
      'probe',
      'rule',
      'scrapeConfig',
      'serviceMonitor',
    ])
    expect(selectors.filter(([, value]) => value !== false)).toEqual([])
  })
})

describe('k8s/platform/README.md', () => {
  const memory = rowsOf('| what | Mi |').map(([what, mi]) => [what!, Number(mi!.replaceAll('*', ''))] as const)

  it('adds up, and all fits into 6 GiB, CloudNativePG as well', () => {
    const [sum, ...rows] = memory.toReversed()
    expect(sum![0]).toBe('**sum**')
    expect(rows.reduce((total, [, mi]) => total + mi, 0)).toBe(sum![1])
    expect(sum![1] + memoryOf('cnpg')).toBeLessThanOrEqual(6144)
    expect(README).toContain(`CloudNativePG adds ${memoryOf('cnpg')} Mi`)
  })

  it('states in the README the memory that the operators’ values request', () => {
    const of = (pattern: RegExp) => memory.filter(([what]) => pattern.test(what)).reduce((sum, [, mi]) => sum + mi, 0)
    expect(of(/^Strimzi's operator/)).toBe(memoryOf('strimzi'))
    expect(of(/^ECK's operator/)).toBe(memoryOf('eck'))
    // Grafana has two of its sidecar: one loads dashboards, one data sources.
    const { grafana } = valuesOf('monitoring')
    const again = mebibytes(grafana.sidecar.resources.requests.memory)
    expect(of(/^(Prometheus|Grafana|kube-state-metrics)/)).toBe(memoryOf('monitoring') + again)
  })
})

describe('kind-config.yaml', () => {
  it('defines a kind cluster of a control plane and two workers', () => {
    const { kind, apiVersion, nodes } = parse(readFileSync(join(ROOT, 'kind-config.yaml'), 'utf8'))
    expect({ kind, apiVersion }).toEqual({ kind: 'Cluster', apiVersion: 'kind.x-k8s.io/v1alpha4' })
    expect(nodes).toEqual([{ role: 'control-plane' }, { role: 'worker' }, { role: 'worker' }])
  })
})

function expectInstalled(name: string, calls: string[]): void {
  const { chart, versions, namespace } = operators.get(name)!
  const pulled = calls.filter(call => new RegExp(`^helm pull (\\S+/)?${chart} `).test(call))
  expect(pulled).toEqual([expect.stringContaining(` --version ${versions.chart} --untar --untardir `)])
  const values = join(PLATFORM, `values/${name}.yaml`)
  const [installed] = calls.filter(call => call.startsWith(`helm upgrade --install ${name} `))
  expect(installed).toMatch(new RegExp(`charts-of-the-test/${chart} `))
  expect(installed).toContain(` --namespace ${namespace} --create-namespace --values ${values} --wait --timeout 10m`)
  expect(existsSync(values)).toBe(true)
}

const namesOf = (calls: string[]) => calls.flatMap(call => /^helm upgrade --install (\S+) /.exec(call)?.[1] ?? [])

/** Writes down each call; fails where it begins with FAILING. */
function fake(name: string): void {
  const file = join(folder, 'bin', name)
  const script = `#!/bin/bash
call="${name} $*"
echo "$call" >>"$CALLS"
if [[ -n $FAILING && $call == "$FAILING"* ]]; then exit 1; fi
if [[ $call == 'kubectl config current-context' ]]; then echo a-cluster; fi
`
  writeFileSync(file, script)
  chmodSync(file, 0o755)
}

type Options = { failing?: string; path?: string }
function run(...args: (string | Options)[]) {
  const { failing = '', path = [join(folder, 'bin'), process.env.PATH].join(delimiter) } = Object.assign(
    {},
    ...args.filter(arg => typeof arg === 'object'),
  ) as Options
  const calls = join(folder, 'calls')
  writeFileSync(calls, '')
  mkdirSync(join(folder, 'tmp'), { recursive: true })
  const env = { PATH: path, CALLS: calls, FAILING: failing, TMPDIR: join(folder, 'tmp') }
  const words = args.filter(arg => typeof arg === 'string')
  const { status, stdout, stderr } = spawnSync('/bin/bash', [INSTALL, ...words], { env, encoding: 'utf8' })
  const written = readFileSync(calls, 'utf8').replaceAll(/\S*\/platform-\w+\/tmp\/[^/\s]+/g, '/charts-of-the-test')
  return { status, out: stdout, err: stderr, calls: written.split('\n').filter(line => line !== '') }
}

function valuesOf(name: string) {
  return parse(readFileSync(join(PLATFORM, `values/${name}.yaml`), 'utf8'))
}

/** Of all requests in a values file, in Mi. */
function memoryOf(name: string): number {
  const within = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 0
    return Object.entries(value).reduce(
      (sum, [key, inner]) => sum + (key === 'requests' ? mebibytes(inner.memory) : within(inner)),
      0,
    )
  }
  return within(valuesOf(name))
}

function mebibytes(quantity: string): number {
  const [, number, unit] = /^(\d+)(Mi|Gi)$/.exec(quantity)!
  return Number(number) * (unit === 'Gi' ? 1024 : 1)
}
