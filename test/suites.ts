/**
 * The suites of tests, by what they need. `npm test` runs the default ones; `.ci/run` runs all. A test file belongs to
 * the suite that lists it or its directory, else to `services` when it reaches a real server, else to `unit`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { importsOf } from './architecture/imports.ts'

export const ROOT = resolve(import.meta.dirname, '..')

export type SuiteName = 'unit' | 'services' | 'system' | 'api-server' | 'root' | 'cluster'
type Suite = {
  needs: string
  /** Kafka, PostgreSQL or Elasticsearch: Java runs them, Maven installs them. */
  startsServers: boolean
  /** Part of `npm test`. */
  isDefault: boolean
  /** Files and directories that belong to it. */
  paths: string[]
}

export const SUITES: Record<SuiteName, Suite> = {
  unit: { needs: 'Node', startsServers: false, isDefault: true, paths: [] },
  services: { needs: 'Java and Maven', startsServers: true, isDefault: true, paths: [] },
  system: {
    needs: 'Java, Maven and some minutes: it kills and restarts whole programs on their own servers',
    startsServers: true,
    isDefault: false,
    paths: [
      'test/integrity',
      'test/local/services.test.ts',
      'test/local/services-install.test.ts',
      'test/local/start/npm-start.test.ts',
      'test/processor/removal/program.test.ts',
      'test/producer/check/check.test.ts',
    ],
  },
  'api-server': {
    needs: 'KUBEBUILDER_ASSETS (kube-apiserver and etcd), CRDS_DIR and HELM',
    startsServers: false,
    isDefault: false,
    paths: [
      'test/api-server',
      'test/charts/network.test.ts',
      'test/charts/pod-security.test.ts',
      'test/charts/render.test.ts',
      'test/charts/scram.test.ts',
    ],
  },
  root: {
    needs: 'root, Debian packages and Go',
    startsServers: true,
    isDefault: false,
    paths: ['test/root', 'test/images/packages.test.ts'],
  },
  cluster: {
    needs: 'a cluster with our images loaded (.ci/cluster)',
    startsServers: false,
    isDefault: false,
    paths: ['test/cluster'],
  },
}

export const suiteNames = Object.keys(SUITES) as SuiteName[]

/** `file`: a path from the root of the project. */
export function suiteOf(file: string): SuiteName {
  const listed = suiteNames.find(name => SUITES[name].paths.some(path => file === path || file.startsWith(`${path}/`)))
  return listed ?? (reaches(file, 'test/support/services.ts') ? 'services' : 'unit')
}

/** Returns true if `file` imports `target`, directly or through other modules of the project. */
function reaches(file: string, target: string, visited = new Set<string>()): boolean {
  if (file === target) return true
  if (visited.has(file)) return false
  visited.add(file)
  return ownImportsOf(file).some(imported => reaches(imported, target, visited))
}

const known = new Map<string, string[]>()

/** Returns the project's own modules that `file` imports, as paths from the root. */
function ownImportsOf(file: string): string[] {
  let targets = known.get(file)
  if (!targets) {
    const imports = importsOf(new Map([[file, readFileSync(join(ROOT, file), 'utf8')]]))
    targets = imports
      .filter(({ isOurs, target }) => isOurs && existsSync(join(ROOT, target)))
      .map(({ target }) => target)
    known.set(file, targets)
  }
  return targets
}
