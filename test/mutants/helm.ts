/** Faults planted in the chart and in how documents are admitted. */
import type { Mutant } from './engine.ts'

export const HELM_MUTANTS: Mutant[] = [
  {
    name: 'the name of a Job does not depend on its template',
    file: 'charts/sales-pipeline/templates/platform/_passwords.tpl',
    find: '{{ print (index . 1) (index . 2) | sha256sum | trunc 8 }}',
    plant: '{{ print (index . 2) | sha256sum | trunc 8 }}',
    test: 'test/charts/render.test.ts',
    turnsRed: 'gives every Job another name when anything in its template changes',
  },
  {
    name: 'the Job of the chart replaces passwords that exist',
    file: 'charts/passwords/create.mjs',
    find: 'if (existing?.data?.password) return',
    plant: 'if (existing?.data?.never) return',
    test: 'test/charts/passwords.test.ts',
    turnsRed: 'keeps the password of an existing Secret',
  },
  {
    name: 'pods do not notice a rotated Secret',
    file: 'common/secret-watch.ts',
    find: 'isOld || first.get(name) !== value',
    plant: 'isOld',
    test: 'test/common/secret-watch.test.ts',
    turnsRed: 'reports a new value',
  },
  {
    name: 'a worker restarts for files that are older than its environment',
    file: 'common/secret-watch.ts',
    find: 'isOld || first.get(name) !== value',
    plant: 'isOld || value !== undefined',
    test: 'test/common/secret-watch.test.ts',
    turnsRed: 'ignores files that are older than the environment',
  },
  {
    name: 'the spelling Delete keeps the data',
    file: 'pipeline/spellings.ts',
    find: "plainSpelling(deletionPolicy) === 'delete'",
    plant: "deletionPolicy === 'delete'",
    test: 'test/pipeline/spellings.test.ts',
    turnsRed: 'gives Delete and Observe the meaning of',
  },
  {
    name: 'a field of the CRD keeps a default that would be the pod itself',
    file: 'operator/crd/structural.ts',
    find: 'if (json.localDefault) delete kept.default',
    plant: 'if (json.localDefault) delete kept.description',
    test: 'test/operator/crd-schema.test.ts',
    turnsRed: 'declares no default that would be the pod itself',
  },
  {
    name: 'limits are compared with requests as text',
    file: 'pipeline/resource-checks.ts',
    find: 'parseQuantity(request) <= parseQuantity(limit)',
    plant: 'request <= limit',
    test: 'test/pipeline/faults.test.ts',
    turnsRed: 'reports',
  },
]
