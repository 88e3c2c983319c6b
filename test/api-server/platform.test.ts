/** Compares k8s/platform/README.md with the CRDs of the operators in CRDS_DIR. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { operators } from '../k8s/platform-readme.ts'
import { CRDS_DIR } from '../support/api-server.ts'

it('names API versions in k8s/platform/README.md that the operators’ CRDs serve', () => {
  const folders = { monitoring: 'prometheus-operator', strimzi: 'strimzi', eck: 'eck', cnpg: 'cloudnative-pg' }
  for (const [name, { serves, versions }] of operators) {
    const definitions = definitionsIn(folders[name as keyof typeof folders])
    expect(definitions.length, name).toBeGreaterThan(0)
    const served = definitions.flatMap(({ spec }) =>
      spec.versions.filter(v => v.served).map(v => `${spec.group}/${v.name}`),
    )
    expect(
      serves.filter(version => !served.includes(version)),
      name,
    ).toEqual([])
    const annotated = definitions.flatMap(d => d.metadata.annotations?.['operator.prometheus.io/version'] ?? [])
    expect(annotated.filter(version => version !== versions.operator)).toEqual([])
  }
})

type Definition = {
  metadata: { annotations?: Record<string, string> }
  spec: { group: string; versions: { name: string; served: boolean }[] }
}

function definitionsIn(name: string): Definition[] {
  const files = readdirSync(join(CRDS_DIR, name)).map(file => readFileSync(join(CRDS_DIR, name, file), 'utf8'))
  return files.flatMap(text => parseAllDocuments(text).map(document => document.toJS() as Definition))
}
