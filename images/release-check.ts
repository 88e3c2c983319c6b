/**
 * `npm run --silent release:check -- v0.3.0`: checks that every file has the same version and that the public address is
 * set. Prints the version's section of CHANGELOG.md to stdout (the release notes), or one line per fault to stderr with
 * exit code 1. Without a tag, everything but the tag is checked.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeLines } from '#common/output.ts'
import { runMain } from '#common/run-main.ts'

/** File → text, paths from the root. */
export type Sources = Record<'package.json' | (typeof OTHERS)[number], string>

const ROOT = join(import.meta.dirname, '..')
const OTHERS = [
  'package-lock.json',
  'charts/sales-pipeline/Chart.yaml',
  'Dockerfile',
  'docker-bake.json',
  'CHANGELOG.md',
] as const
const PLACEHOLDER = '/OWNER/'
/** The newest release; `## [Unreleased]` is above it. */
const HEADING = /^## \[(\d[^\]]*)\] - \d{4}-\d{2}-\d{2}$/m

/** Returns each place that has a version, with the version found there (undefined if none). */
function versionsIn(sources: Sources): [string, string | undefined][] {
  const chart = sources['charts/sales-pipeline/Chart.yaml']
  return [
    ['package-lock.json', JSON.parse(sources['package-lock.json']).version],
    ['charts/sales-pipeline/Chart.yaml, version', /^version: "?([^"\n]+)"?$/m.exec(chart)?.[1]],
    ['charts/sales-pipeline/Chart.yaml, appVersion', /^appVersion: "?([^"\n]+)"?$/m.exec(chart)?.[1]],
    ['Dockerfile, image.version', /image\.version="([^"]+)"/.exec(sources.Dockerfile)?.[1]],
    ['docker-bake.json, TAG', JSON.parse(sources['docker-bake.json']).variable.TAG.default],
    ['CHANGELOG.md, newest heading', HEADING.exec(sources['CHANGELOG.md'])?.[1]],
  ]
}

/** Returns one line per fault; none if the project can be released as `tag`. */
export function releaseFaults(sources: Sources, tag?: string): string[] {
  const { version, repository } = JSON.parse(sources['package.json'])
  const places = versionsIn(sources)
  if (tag !== undefined) places.push(['git tag', tag.replace(/^v/, '')])
  const faults = places
    .filter(([, found]) => found !== version)
    .map(([place, found]) => `${place}: ${found ?? 'no version'}, but package.json has ${version}`)
  if (tag !== undefined && !tag.startsWith('v')) faults.push(`git tag: ${tag} must begin with v`)
  if (repository.url.includes(PLACEHOLDER))
    faults.push(
      `package.json, repository.url: ${repository.url} is a placeholder; see "Public address" in CONTRIBUTING.md`,
    )
  return faults
}

/** Returns the text below the heading of the newest release in a changelog. */
export function releaseNotes(changelog: string): string {
  const { index, 0: heading } = HEADING.exec(changelog)!
  const [section] = changelog.slice(index + heading.length).split(/^## /m)
  return section!.trim()
}

export function readSources(): Sources {
  const names = ['package.json', ...OTHERS] as const
  return Object.fromEntries(names.map(name => [name, readFileSync(join(ROOT, name), 'utf8')])) as Sources
}

function main(tag: string | undefined): number {
  const sources = readSources()
  const faults = releaseFaults(sources, tag)
  if (faults.length === 0) writeLines(process.stdout, releaseNotes(sources['CHANGELOG.md']))
  for (const fault of faults) writeLines(process.stderr, fault)
  return faults.length === 0 ? 0 : 1
}

if (import.meta.main) await runMain(async () => main(process.argv[2]))
