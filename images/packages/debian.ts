/**
 * The Debian packages to which the copied libraries belong. Images get the data that package managers leave behind, in the
 * form of distroless images, which scanners read: /var/lib/dpkg/status.d/PACKAGE and PACKAGE.md5sums, the release of the
 * distribution, and licences in /usr/share/doc/PACKAGE/copyright.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UserError } from '#pipeline/user-error.ts'
import { fileIn, purlOf, type Shipped } from './shipped.ts'

/** Which distribution it is: without one of these files, scanners do not know whose vulnerabilities apply. */
const RELEASE = ['/etc/debian_version', '/etc/lsb-release', '/usr/lib/os-release']
/** Owns the files of RELEASE, and the licences to which copyright files refer. */
const BASE = 'base-files'
const COMMON_LICENCE = /\/usr\/share\/common-licenses\/[\w.+-]*\w/g

export const hasDpkg = () => existsSync('/var/lib/dpkg/status') && dpkg(['--version']) !== null

/** Returns null without dpkg-query, or if it fails. */
function dpkg(args: string[]): string | null {
  try {
    return execFileSync('dpkg-query', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return null
  }
}

/**
 * Adds the data of the packages that own `libraries` to the image below `root`, and returns them. The paths are those of
 * this machine, and the image has the same. Throws a UserError for a library that no package owns.
 */
export function writeDebianPackages(root: string, libraries: string[]): Shipped[] {
  const files = new Map<string, string[]>([[BASE, RELEASE.filter(path => existsSync(path))]])
  for (const path of libraries) {
    const owner = ownerOf(path)
    files.set(owner, [...(files.get(owner) ?? []), path])
  }
  const licences = new Set<string>()
  for (const [name, paths] of files) {
    const copyright = copyrightOf(name)
    const copy = `/usr/share/doc/${name}/copyright`
    copyInto(root, copyright, copy)
    paths.push(copy)
    for (const [path] of readFileSync(copyright, 'utf8').matchAll(COMMON_LICENCE)) licences.add(path)
  }
  const base = files.get(BASE)!
  for (const path of base.filter(path => RELEASE.includes(path))) copyInto(root, path, path)
  for (const path of [...licences].filter(path => existsSync(path)).sort()) {
    copyInto(root, path, path)
    base.push(path)
  }
  return [...files].map(([name, paths]) => writeData(root, name, paths)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

function copyInto(root: string, from: string, to: string): void {
  mkdirSync(join(root, dirname(to)), { recursive: true })
  copyFileSync(realpathSync(from), join(root, to))
}

/** dpkg knows a file by the path in its package, which may lack the /usr that a symbolic link of the system adds. */
function ownerOf(path: string): string {
  const real = realpathSync(path)
  const candidates = [path, real, real.replace(/^\/usr\//, '/'), `/usr${path}`]
  for (const candidate of new Set(candidates)) {
    const [, owner] = /^([^\s:,]+)(?::\w+)?: \//m.exec(dpkg(['--search', candidate]) ?? '') ?? []
    if (owner !== undefined) return owner
  }
  throw new UserError(
    `no Debian package owns ${path}, so nobody would learn of vulnerabilities in it. Build the images on a system that has the library from a package`,
  )
}

/** In small images, the documentation of a package can be a link to that of another one with the same source, or lack it. */
function copyrightOf(name: string): string {
  const source = field(name, 'source:Package')
  const all = dpkg(['--show', `--showformat=\${source:Package} \${Package}\n`]) ?? ''
  const siblings = all.split('\n').flatMap(line => (line.startsWith(`${source} `) ? line.slice(source.length + 1) : []))
  const found = [name, ...siblings]
    .map(package_ => `/usr/share/doc/${package_}/copyright`)
    .find(path => existsSync(path))
  if (found === undefined) throw new UserError(`package ${name} has no licence in /usr/share/doc/${name}/copyright`)
  return found
}

const field = (name: string, what: string) => dpkg(['--show', `--showformat=\${${what}}\n`, name])!.split('\n')[0]!

function writeData(root: string, name: string, paths: string[]): Shipped {
  const folder = join(root, 'var/lib/dpkg/status.d')
  mkdirSync(folder, { recursive: true })
  const files = paths.sort().map(path => fileIn(root, path))
  writeFileSync(join(folder, name), controlOf(name))
  writeFileSync(join(folder, `${name}.md5sums`), files.map(({ path, md5 }) => `${md5}  ${path}\n`).join(''))
  const [version, arch] = [field(name, 'Version'), field(name, 'Architecture')]
  const [source, sourceVersion] = [field(name, 'source:Package'), field(name, 'source:Version')]
  const upstream =
    source === name ? {} : { upstream: sourceVersion === version ? source : `${source}@${sourceVersion}` }
  const { id, release } = distribution()
  return {
    name,
    version,
    purl: purlOf('deb', `${id}/${name}`, version, { arch, distro: `${id}-${release}`, ...upstream }),
    licence: `see /usr/share/doc/${name}/copyright`,
    files,
  }
}

/** Returns the control file of an installed package: its status without what only the installation has. */
function controlOf(name: string): string {
  const fields = dpkg(['--status', name])!
    .trimEnd()
    .split(/\n(?! )/)
  return `${fields.filter(text => !/^(Status|Conffiles):/.test(text)).join('\n')}\n`
}

function distribution(): { id: string; release: string } {
  const text = readFileSync('/usr/lib/os-release', 'utf8')
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
  return { id: value('ID'), release: value('VERSION_ID') }
}
