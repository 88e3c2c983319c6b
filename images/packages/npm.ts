/** The npm packages of a bundle, and their licences. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '#pipeline/user-error.ts'
import { purlOf, type Shipped } from './shipped.ts'

/** `folder`: its place below the root of the project, which is its name in package-lock.json. */
export type NpmPackage = Shipped & { folder: string }

type Locked = { version: string; license?: string; integrity?: string }

const MODULES = 'node_modules/'
const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/

/** Returns the folder of the package to which a file belongs; undefined for our own files. */
export const packageFolderOf = (path: string): string | undefined => PACKAGE.exec(path)?.[0]

/**
 * Returns the packages in these folders, in the order of their names. One that is installed in several folders is listed
 * once. Throws a UserError if the lock lacks one.
 */
export function npmPackages(root: string, folders: Iterable<string>): NpmPackage[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const found = new Map<string, NpmPackage>()
  for (const folder of [...new Set(folders)].sort()) {
    const locked = packages[folder]
    if (!locked?.license)
      throw new UserError(`package-lock.json has no package with a licence at ${folder}; run npm install`)
    const name = folder.slice(folder.lastIndexOf(MODULES) + MODULES.length)
    const { version, license: licence, integrity } = locked
    const purl = purlOf('npm', name, version)
    if (!found.has(purl)) found.set(purl, { name, version, purl, licence, ...hashOf(integrity), files: [], folder })
  }
  return [...found.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1))
}

function hashOf(integrity: string | undefined): { sha512?: string } {
  const [, base64] = /^sha512-(\S+)$/.exec(integrity ?? '') ?? []
  return base64 === undefined ? {} : { sha512: Buffer.from(base64, 'base64').toString('hex') }
}

const LICENCE_FILE = /^(licen[cs]e|copying|notice)(?!.*\.(js|ts|json)$)/i
const README = /^readme\.(md|markdown|txt)$/i
/** The heading of a licence and everything below it. */
const LICENCE_HEADING = /^#+ *licen[cs]e\b[\s\S]*/im

/**
 * Returns the licences of the packages as one text, in which equal licences occur once. Throws a UserError for a package that
 * has no text of its licence.
 */
export function licenceTexts(root: string, packages: NpmPackage[]): string {
  const holders = new Map<string, string[]>()
  for (const { name, version, licence, folder } of packages) {
    const text = textsIn(join(root, folder)).join('\n\n')
    if (text === '')
      throw new UserError(`package ${name} has no text of its licence ${licence}, which must be shipped with it`)
    holders.set(text, [...(holders.get(text) ?? []), `${name} ${version} (${licence})`])
  }
  const rule = '='.repeat(80)
  return [...holders].map(([text, names]) => `${rule}\n${names.join('\n')}\n${rule}\n\n${text}\n`).join('\n')
}

function textsIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true })
  const names = entries.flatMap(entry => (entry.isFile() ? entry.name : [])).sort()
  const read = (name: string) => readFileSync(join(folder, name), 'utf8').trim()
  const files = names.filter(name => LICENCE_FILE.test(name)).map(read)
  if (files.length > 0) return files
  return names.filter(name => README.test(name)).flatMap(name => LICENCE_HEADING.exec(read(name))?.[0].trim() ?? [])
}
