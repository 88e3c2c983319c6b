/** Reads what an unpacked image says about the packages that it consists of. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'

export type Component = {
  name: string
  group?: string
  version: string
  purl: string
  licenses: { license?: { id?: string; name?: string }; expression?: string }[]
  hashes?: { alg: string; content: string }[]
  components?: { type: string; name: string; hashes: { alg: string; content: string }[] }[]
}

const SBOM = 'usr/share/doc/salespipeline/sbom.cdx.json'
const STATUS = 'var/lib/dpkg/status.d'

export const readSbom = (root: string): { components: Component[] } =>
  JSON.parse(readFileSync(join(root, SBOM), 'utf8'))

let validator: ValidateFunction | undefined

/** Returns what is wrong by the schema of CycloneDX 1.6. */
export function schemaFaults(root: string): unknown[] {
  validator ??= createValidator()
  validator(readSbom(root))
  return validator.errors ?? []
}

/** The schema comes with the library. */
function createValidator(): ValidateFunction {
  const library = dirname(fileURLToPath(import.meta.resolve('@cyclonedx/cyclonedx-library/package.json')))
  const schema = (name: string) =>
    JSON.parse(readFileSync(join(library, `res/schema/${name}.SNAPSHOT.schema.json`), 'utf8'))
  const ajv = new Ajv({ strict: false, allErrors: true })
  formats.default(ajv)
  for (const name of ['idn-email', 'iri-reference']) ajv.addFormat(name, true)
  ajv.addSchema(schema('spdx'), 'http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json')
  ajv.addSchema(schema('jsf-0.82'), 'http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json')
  return ajv.compile(schema('bom-1.6'))
}

/** Files that this project writes; every other file of an image must belong to a package. */
const OWN = [
  /^app\/bin\/[a-z]+\.mjs$/,
  /^app\/bin\/sql\/[\w-]+\.sql$/,
  /^app\/signals\.cjs$/,
  /^etc\/(passwd|group|nsswitch\.conf)$/,
  /^usr\/share\/doc\/salespipeline\/(LICENSE|npm-licences\.txt|sbom\.cdx\.json)$/,
  /^var\/lib\/dpkg\/status\.d\/[^/]+$/,
]

/** Returns the paths of all files and links below `root`. */
export function filesOf(root: string): string[] {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => !entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1))
}

/** Returns the files that are not ours, each with the packages of the list that contain it with its hash. */
export function ownersOf(root: string): [path: string, owners: string[]][] {
  const { components } = readSbom(root)
  const foreign = filesOf(root).filter(path => !OWN.some(pattern => pattern.test(path)))
  return foreign.map(path => {
    const hash = createHash('sha256')
      .update(readFileSync(join(root, path)))
      .digest('hex')
    const has = ({ components = [] }: Component) =>
      components.some(({ name, hashes }) => name === `/${path}` && hashes.some(({ content }) => content === hash))
    return [path, components.filter(has).map(({ purl }) => purl)]
  })
}

export type DebianData = { fields: Record<string, string>; files: { path: string; md5: string }[] }

/** Returns the data that scanners read for each Debian package, by its name. */
export function debianData(root: string): Record<string, DebianData> {
  const names = readdirSync(join(root, STATUS)).filter(name => !name.endsWith('.md5sums'))
  const read = (name: string) => readFileSync(join(root, STATUS, name), 'utf8')
  return Object.fromEntries(
    names.map(name => {
      const fields = Object.fromEntries(
        [...read(name).matchAll(/^([\w-]+): (.*)$/gm)].map(([, key, value]) => [key, value]),
      )
      const lines = read(`${name}.md5sums`).trimEnd().split('\n')
      return [name, { fields, files: lines.map(line => ({ md5: line.slice(0, 32), path: line.slice(34) })) }]
    }),
  )
}
