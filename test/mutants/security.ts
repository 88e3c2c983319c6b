/** Faults planted in what protects credentials and ports. */
import type { Mutant } from './engine.ts'

export const SECURITY_MUTANTS: Mutant[] = [
  {
    name: 'a host that only begins like loopback counts as loopback',
    file: 'pipeline/admission.ts',
    find: 'export const LOOPBACK_HOST = /^(localhost|127(\\.\\d{1,3}){3}|::1|\\/.*)$/',
    plant: 'export const LOOPBACK_HOST = /^(localhost|127(\\.\\d{1,3}){3}|::1|\\/.*)/',
    test: 'test/pipeline/faults.test.ts',
    turnsRed: '127.0.0.1.example',
  },
  {
    name: 'the operator refuses a document that the API server stored earlier',
    file: 'pipeline/parse.ts',
    find: '...(admitted ? [] : admissionFaults(spec))',
    plant: '...admissionFaults(spec)',
    test: 'test/pipeline/faults.test.ts',
    turnsRed: 'in a document that the API server has admitted',
  },
  {
    name: 'the schema of the ingest inherits the names of methods',
    file: 'producer/serve/event-schema.ts',
    find: 'properties: Object.create(null)',
    plant: 'properties: {}',
    test: 'test/producer/serve/names.test.ts',
    turnsRed: 'is accepted if it is valid, and refused with the name of its field if not',
  },
  {
    name: 'a column that is named like a method gets the method as its name in documents',
    file: 'pipeline/names.ts',
    find: 'return renamed && Object.hasOwn(renamed, column) ? renamed[column]! : column',
    plant: 'return renamed?.[column] ?? column',
    test: 'test/processor/projection/names.test.ts',
    turnsRed: 'writes columns to fields of the same name',
  },
  {
    name: 'the YAML parser compares every key with all others',
    file: 'pipeline/yaml.ts',
    find: 'uniqueKeys: false',
    plant: 'uniqueKeys: true',
    test: 'test/pipeline/yaml.test.ts',
    turnsRed: 'refuses 100,000 unknown keys within seconds',
  },
  {
    name: 'metrics are served on all addresses by default',
    file: 'common/http.ts',
    find: 'return env.HTTP_HOST || LOOPBACK',
    plant: 'return env.HTTP_HOST || ALL_ADDRESSES',
    test: 'test/processor/settings.test.ts',
    turnsRed: 'serves metrics only on loopback unless HTTP_HOST is set',
  },
]
