/** Faults that are planted in the operator; those of test/api-server need KUBEBUILDER_ASSETS and CRDS_DIR. */
import type { Mutant } from './engine.ts'

const STATUS = 'test/operator/status.test.ts'
const SCALING = 'test/operator/scaling/scaling.test.ts'
const OPERATOR = 'test/api-server/operator.test.ts'
const FAULTS = 'test/api-server/faults.test.ts'

export const OPERATOR_MUTANTS: Mutant[] = [
  {
    name: 'Ready before a result stood in every sink',
    file: 'operator/status/status.ts',
    find: 'if (!isEverySinkReached)',
    plant: 'if (isEverySinkReached === null)',
    test: STATUS,
    turnsRed: 'when the projection has nothing yet',
  },
  {
    name: 'Ready although a worker complains',
    file: 'operator/status/status.ts',
    find: 'if (told) return no(told)',
    plant: '',
    test: STATUS,
    turnsRed: 'when PostgreSQL refuses',
  },
  {
    name: 'status is written with every reading',
    file: 'operator/status/writer.ts',
    find: 'if (wait > 0) return wait',
    plant: '',
    test: 'test/api-server/status-writer.test.ts',
    turnsRed: 'at most once in 10 s',
  },
  {
    name: 'a key is worked on twice at a time',
    file: 'operator/runtime/queue.ts',
    find: 'if (this.#working.has(key)) this.#again.add(key)\n    else this.#ready.add(key)',
    plant: 'this.#ready.add(key)',
    test: 'test/operator/queue.test.ts',
    turnsRed: 'never works on a key twice at a time',
  },
  {
    name: 'a list that lacks most objects is believed',
    file: 'operator/runtime/reflector.ts',
    find: 'missing * 2 > this.objects.size',
    plant: 'missing > this.objects.size',
    test: FAULTS,
    turnsRed: 'undisturbed by a list that comes back empty',
  },
  {
    name: 'an expired watch goes on from the version that is gone',
    file: 'operator/runtime/reflector.ts',
    find: 'if (expired || failures >= FAILURES_BEFORE_LIST) this.#version = null',
    plant: 'if (expired) await clock.sleep(3_600_000, signal)',
    test: FAULTS,
    turnsRed: 'are gone \\(410\\)',
  },
  {
    name: 'a watch that breaks begins again where it began',
    file: 'operator/runtime/reflector.ts',
    find: 'this.#version = object.metadata.resourceVersion ?? this.#version',
    plant: '',
    test: FAULTS,
    turnsRed: 'from where it was when a watch breaks',
  },
  {
    name: 'a silent connection is waited for',
    file: 'operator/runtime/reflector.ts',
    find: 'AbortSignal.any([signal, silence.signal])',
    plant: 'signal',
    test: FAULTS,
    turnsRed: 'after a connection hung without a word',
  },
  {
    name: 'a lease is taken from whoever holds it',
    file: 'operator/runtime/lease.ts',
    find: 'if (lease && spec.holderIdentity !== identity && !isFree) return false',
    plant: 'if (lease && isFree === null) return false',
    test: FAULTS,
    turnsRed: 'with another replica in the lead',
  },
  {
    name: 'what others made is adopted',
    file: 'operator/apply.ts',
    find: 'if (there && !isOurs(there, owner)) throw new NotOurs(there)',
    plant: '',
    test: OPERATOR,
    turnsRed: 'does not adopt what it did not make',
  },
  {
    name: 'what was changed by hand stays so',
    file: 'operator/apply.ts',
    find: 'if (there && isSo(marked, there, known.get(id)))',
    plant: 'if (there)',
    test: OPERATOR,
    turnsRed: 'puts back what was changed or deleted by hand',
  },
  {
    name: 'a pipeline is let go before its data is removed',
    file: 'operator/finalize.ts',
    find: 'if (waits) return waits\n    const patch',
    plant: 'if (waits?.reason === null) return waits\n    const patch',
    test: OPERATOR,
    turnsRed: 'removes what is stored before it lets go',
  },
  {
    name: 'a rotated Secret makes no new pods',
    file: 'operator/copies.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a piece of source text
    find: '`${metadata.uid}/${metadata.resourceVersion}`',
    plant: 'metadata.name',
    test: OPERATOR,
    turnsRed: 'makes new pods when it is rotated',
  },
  {
    name: 'a worker that lives is taken for dead',
    file: 'operator/observe/members.ts',
    find: 'Date.parse(end) >= startedAt',
    plant: 'Date.parse(end) > 0',
    test: 'test/operator/members.test.ts',
    turnsRed: 'the container before it ended',
  },
  {
    name: 'workers are taken away at the first quiet moment',
    file: 'operator/scaling/decide.ts',
    find: 'if (highest < current && isStable)',
    plant: 'if (highest < current)',
    test: SCALING,
    turnsRed: 'takes nobody away before it has watched',
  },
  {
    name: 'more workers that do not help are kept',
    file: 'operator/scaling/decide.ts',
    find: 'if (undone) return undone',
    plant: '',
    test: SCALING,
    turnsRed: 'one hot partition',
  },
]
