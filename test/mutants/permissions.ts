/** Faults planted in what the operator may see and do, and in how it says that it may not. */
import type { Mutant } from './engine.ts'

const CACHES = 'test/operator/caches.test.ts'
const WRITER = 'test/api-server/status-writer.test.ts'

export const PERMISSION_MUTANTS: Mutant[] = [
  {
    name: 'a long queue keeps the operator from renewing its Lease',
    file: 'operator/runtime/queue.ts',
    find: 'await turn()',
    plant: '',
    test: 'test/operator/queue.test.ts',
    turnsRed: 'lets timers and sockets take turns with keys',
  },
  {
    name: 'the operator lists Secrets although no setting allows variables from them',
    file: 'operator/caches.ts',
    find: '...(this.#options.secrets ? [SECRET] : [])',
    plant: 'SECRET',
    test: CACHES,
    turnsRed: 'neither lists nor watches Secrets',
  },
  {
    name: 'variables may come from every Secret',
    file: 'operator/pod-permissions.ts',
    find: '[secretsNotAllowed(name)]',
    plant: '[]',
    test: 'test/operator/pod-permissions.test.ts',
    turnsRed: 'refuses variables from every Secret unless its settings allow such variables',
  },
  {
    name: 'the operator watches all namespaces although it serves only some',
    file: 'operator/caches.ts',
    find: 'namespaces.length > 0 ? namespaces : [EVERY]',
    plant: '[EVERY]',
    test: CACHES,
    turnsRed: 'sees only the namespaces that it serves',
  },
  {
    name: 'the operator acts in namespaces that it does not serve',
    file: 'operator/topics/topics.ts',
    find: '!caches.watches(target.namespace)',
    plant: 'false',
    test: 'test/operator/topics.test.ts',
    turnsRed: 'neither creates nor deletes a KafkaTopic in a namespace that the operator does not serve',
  },
  {
    name: 'the role of the operator includes Secrets',
    file: 'charts/sales-pipeline/templates/operator/_rules.tpl',
    find: 'resources: [configmaps, services, serviceaccounts]',
    plant: 'resources: [configmaps, services, serviceaccounts, secrets]',
    test: 'test/api-server/rbac.test.ts',
    turnsRed: 'include no Secret',
  },
  {
    name: 'the operator looks only once for the kinds of other operators',
    file: 'operator/caches.ts',
    find: 'while (!signal.aborted && !(await client.serves(resource, signal).catch(() => false)))',
    plant: 'while (!signal.aborted)',
    test: CACHES,
    turnsRed: 'follows a kind of another operator once the cluster serves it',
  },
  {
    name: 'an object that changed stays in its earlier groups',
    file: 'operator/runtime/packed.ts',
    find: 'members.delete(key)',
    plant: '',
    test: 'test/operator/packed.test.ts',
    turnsRed: 'holds after any changes what a plain map holds',
  },
  {
    name: 'a missing Secret is called an invalid container',
    file: 'operator/observe/pods.ts',
    find: "missingVariable(pod, waiting.message ?? '')",
    plant: 'null',
    test: 'test/operator/status.test.ts',
    turnsRed: 'finds the trouble of pods in their status',
  },
  {
    name: 'nobody hears that the ingest lacks a Secret',
    file: 'operator/reconcile.ts',
    find: '...troublesOf(caches.podsOf(owner, component)), ',
    plant: '',
    test: 'test/operator/reconcile.test.ts',
    turnsRed: 'shows a Secret that the ingest lacks as Notice',
  },
  {
    name: 'a CRD that is too old hides the status',
    file: 'operator/status/writer.ts',
    find: 'if (!isKubeError(error, 422) && !isUnknownField(error)) throw error',
    plant: 'throw error',
    test: WRITER,
    turnsRed: 'says in Ready that the CRD is too old',
  },
  {
    name: 'a status that the API server forbids is only logged',
    file: 'operator/status/writer.ts',
    find: "await events.recordOnce(owner, 'Warning', 'StatusNotWritten', message, signal)",
    plant: '',
    test: WRITER,
    turnsRed: 'reports a status that the API server forbids',
  },
]
