/** kubectl reads YAML 1.1, where a bare off is false; our programs read YAML 1.2. Our manifests must mean the same in both. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { customResourceDefinition } from '#operator/crd/definition.ts'
import { CRD_FILE } from '#operator/crd/generate.ts'

const K8S = join(import.meta.dirname, '../../k8s')
const FILES = readdirSync(K8S, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.yaml'))

const read = (file: string, version: '1.1' | '1.2') =>
  parseAllDocuments(readFileSync(join(K8S, file), 'utf8'), { version }).map(document => document.toJS())

it('finds manifests to read', () => expect(FILES.length).toBeGreaterThan(6))
it.each(FILES)('parses %s the same in YAML 1.1 and 1.2', file => expect(read(file, '1.1')).toEqual(read(file, '1.2')))
it('equals the generated CRD in k8s/crd, read as YAML 1.1', () => {
  const text = readFileSync(CRD_FILE, 'utf8')
  expect(parseAllDocuments(text, { version: '1.1' }).map(d => d.toJS())).toEqual([customResourceDefinition()])
})
