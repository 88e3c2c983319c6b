/** Runs helm on the chart as users do, on the cluster that KUBECONFIG names. */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { CHART } from '../../charts/generate.ts'
import type { Json } from './kube.ts'

const HELM = process.env.HELM ?? 'helm'

export { CHART }

/** Returns the output of helm. Throws with its error output. */
export function helm(args: string[], env: Record<string, string> = {}): string {
  try {
    const options = { encoding: 'utf8', stdio: 'pipe', maxBuffer: 1 << 26, env: { ...process.env, ...env } } as const
    return execFileSync(HELM, args, options)
  } catch (error) {
    throw new Error(`helm ${args.join(' ')}: ${(error as { stderr: string }).stderr}`)
  }
}

/** Returns the objects of the chart, rendered without access to a cluster. */
export const rendered = (args: string[]): Json[] =>
  parseAllDocuments(helm(['template', 'sales', CHART, '--namespace', 'shop', ...args]), { version: '1.1' })
    .map(document => document.toJS())
    .filter(object => object !== null)

/** Returns name and helm flags of each configuration: the default, the laptop's, and ci/*-values.yaml. */
export const chartShapes = (): [string, string[]][] => [
  ['default', []],
  ['laptop', ['-f', join(CHART, 'values-laptop.yaml')]],
  ...readdirSync(join(CHART, 'ci')).map((name): [string, string[]] => [
    name.replace('-values.yaml', ''),
    ['-f', join(CHART, 'ci', name)],
  ]),
]

const isInstalled = (() => {
  try {
    return helm(['version']).length > 0
  } catch {
    return false
  }
})()

/** `describe` when helm is installed, else a skipped one that says how to get it. */
export const describeWithHelm = (name: string, tests: () => void) =>
  isInstalled
    ? describe(name, tests)
    : describe.skip(`${name} (skipped: set HELM to a helm ≥ 3.19, or put it on the PATH)`, tests)
