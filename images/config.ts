/** The configuration of the images: labels, user, entrypoint. test/images checks that the Dockerfile has the same. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ImageConfig } from './archive.ts'
import type { Program } from './programs.ts'

/** The same user id is in operator/desired/workload.ts. Any other id would work, too. */
export const USER = 10_001
export const SIGNALS = '/app/signals.cjs'
/** Name of an image, without registry and tag. */
export const imageOf = (program: string) => `salespipeline/${program}`
export const bundleOf = (name: string) => `/app/bin/${name}.mjs`

const ROOT = resolve(import.meta.dirname, '..')

/** What all images have in common. */
export type Project = {
  version: string
  description: string
  license: string
  homepage?: string
  repository?: string
  revision: string
}

export function readProject(): Project {
  const { version, description, license, homepage, repository } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  return { version, description, license, homepage, repository: repository?.url ?? repository, revision: revision() }
}

/** Returns the commit, with -dirty if there are uncommitted changes, or `unknown` outside of a git repository. */
function revision(): string {
  const describe = ['describe', '--always', '--abbrev=40', '--exclude=*', '--dirty']
  try {
    return execFileSync('git', describe, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}

export function configOf({ name, flags, env, title }: Program, project: Project): ImageConfig {
  const variables = { PATH: '/usr/bin', NODE_ENV: 'production', ...env }
  return {
    Entrypoint: ['/usr/bin/node', '--require', SIGNALS, ...flags, bundleOf(name)],
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    User: `${USER}:${USER}`,
    WorkingDir: '/app',
    Labels: labelsOf(title, project),
  }
}

function labelsOf(
  title: string,
  { version, description, license, homepage, repository, revision }: Project,
): Record<string, string> {
  const labels = {
    title,
    description,
    version,
    revision,
    licenses: license,
    ...(repository && { source: repository }),
    ...(homepage && { documentation: homepage }),
  }
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [`org.opencontainers.image.${name}`, value]))
}
