/** A package of which an image has files. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Shipped = {
  name: string
  version: string
  /** Package URL, by which scanners look up vulnerabilities. */
  purl: string
  /** By which scanners look up what has no package URL that they know. */
  cpe?: string
  /** An SPDX licence or expression, or where in the image the licence is. */
  licence: string
  /** SHA-512 (hex) of the archive that the package manager installed. */
  sha512?: string
  /** In the image. A package in a bundle has none. */
  files: File[]
}

/** `path`: from the root of the image. */
export type File = { path: string; sha256: string; md5: string }

/** Where an image has its list of packages and its licences. Scanners find the list by the end of its name. */
export const DOC = 'usr/share/doc/salespipeline'
export const SBOM = `${DOC}/sbom.cdx.json`
export const NPM_LICENCES = `${DOC}/npm-licences.txt`

/** Describes a file of the image below `root`. */
export function fileIn(root: string, path: string): File {
  const bytes = readFileSync(join(root, path))
  const hash = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
  return { path: path.replace(/^\/+/, ''), sha256: hash('sha256'), md5: hash('md5') }
}

/** Returns a package URL. `name` may have a namespace. */
export function purlOf(type: string, name: string, version: string, qualifiers: Record<string, string> = {}): string {
  const text = name.split('/').map(encodeURIComponent).join('/')
  const query = Object.entries(qualifiers).map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  return `pkg:${type}/${text}@${encodeURIComponent(version)}${query.length > 0 ? `?${query.join('&')}` : ''}`
}
