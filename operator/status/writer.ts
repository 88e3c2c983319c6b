/** Writes the status when it changed, at most once per interval. */
import { codesWhere } from '#pipeline/conditions.ts'
import { isUnknownField } from '../apply.ts'
import { keyOfOwner } from '../desired/names.ts'
import type { Owner } from '../desired/observed.ts'
import type { Events } from '../events.ts'
import { isKubeError, type KubeClient } from '../kube/client.ts'
import { type KubeObject, SALES_PIPELINE } from '../kube/resources.ts'
import type { Clock } from '../ports.ts'
import type { Condition, Status } from './input.ts'

/** Shortest time between two writes for one pipeline. */
const WRITE_EVERY_MS = 10_000

/** How long the operator waits until it tries again to write a status that the CRD does not permit. */
const CRD_OUTDATED_MS = 60_000

/** Reasons for not being ready that are part of normal operation. */
const EXPECTED: ReadonlySet<string> = new Set(codesWhere(({ expected }) => expected === true))

export type WriterDeps = {
  client: KubeClient
  events: Events
  clock: Clock
  /** Called with why the API server refuses the status of a pipeline, and with null once it does not. */
  onRefused: (key: string, why: string | null) => void
}

export class StatusWriter {
  readonly #deps: WriterDeps
  readonly #written = new Map<string, { at: number; text: string; uid: string; generation: number }>()

  constructor(deps: WriterDeps) {
    this.#deps = deps
  }

  /** Resolves with the ms until a change may be written that came too early; undefined: nothing is left to write. */
  async write(resource: KubeObject, owner: Owner, status: Status, signal: AbortSignal): Promise<number | undefined> {
    const { clock } = this.#deps
    const { uid } = owner
    const key = keyOfOwner(owner)
    const text = JSON.stringify(status)
    const last = this.#written.get(key)
    const isSame = last?.uid === owner.uid ? last.text === text : isIncluded(status, resource.status)
    if (isSame) return undefined
    // Clients may wait for the status of a new generation.
    const isSameSpec = last?.uid === owner.uid && last.generation === status.observedGeneration
    const wait = isSameSpec ? last.at + WRITE_EVERY_MS - clock.now() : 0
    if (wait > 0) return wait
    if (!(await this.#apply(resource, owner, status, signal))) return CRD_OUTDATED_MS
    this.#written.set(key, { at: clock.now(), text, uid, generation: status.observedGeneration })
    await this.#recordTransition(resource, owner, status, signal)
    return undefined
  }

  forget(key: string): void {
    this.#written.delete(key)
    this.#deps.onRefused(key, null)
  }

  /** Resolves with false if the CRD is too old for this status: then only the condition Ready says so. */
  async #apply(resource: KubeObject, owner: Owner, status: Status, signal: AbortSignal): Promise<boolean> {
    const { client, events, onRefused } = this.#deps
    const { apiVersion, kind, namespace, name, uid } = owner
    const apply = (shown: Partial<Status>) =>
      client.applyStatus({ apiVersion, kind, metadata: { namespace, name, uid }, status: shown }, SALES_PIPELINE, {
        signal,
      })
    try {
      const isAccepted = await apply(status).then(
        () => true,
        error => {
          if (!isKubeError(error, 422) && !isUnknownField(error)) throw error
          return apply(outdated(resource, status, error.message)).then(() => false)
        },
      )
      onRefused(keyOfOwner(owner), null)
      return isAccepted
    } catch (error) {
      if (isKubeError(error, 400, 403, 422) || isUnknownField(error)) {
        onRefused(keyOfOwner(owner), error.message)
        const message = `the API server refuses the status of this pipeline, so what kubectl shows is outdated: ${error.message}`
        await events.recordOnce(owner, 'Warning', 'StatusNotWritten', message, signal)
      }
      throw error
    }
  }

  async #recordTransition(resource: KubeObject, owner: Owner, status: Status, signal: AbortSignal): Promise<void> {
    const readyOf = (conditions: Status['conditions'] | undefined) => conditions?.find(({ type }) => type === 'Ready')
    const before = readyOf((resource.status as Partial<Status> | undefined)?.conditions)
    const now = readyOf(status.conditions)!
    if (before?.status === now.status && before.reason === now.reason) return
    const type = now.status === 'True' || EXPECTED.has(now.reason) ? 'Normal' : 'Warning'
    await this.#deps.events.record(owner, type, now.reason, now.message, signal)
  }
}

/** Only fields that the CRD of every release has. */
function outdated({ status: stored }: KubeObject, { observedGeneration, conditions }: Status, why: string) {
  const [ready] = conditions.filter(({ type }) => type === 'Ready') as [Condition]
  const before = (stored as Partial<Status> | undefined)?.conditions?.find(({ type }) => type === 'Ready')
  const condition: Condition = {
    ...ready,
    status: 'Unknown',
    reason: 'CrdOutdated',
    message: `the CRD in this cluster does not permit the status that the operator writes: ${why}. Apply the CRD of the operator's release: kubectl apply --server-side -f k8s/crd/`,
    lastTransitionTime: before?.status === 'Unknown' ? before.lastTransitionTime : ready.lastTransitionTime,
  }
  return { observedGeneration, conditions: [condition] }
}

/** After a restart of the operator: a status that the resource already has need not be written again. */
function isIncluded(status: Status, existing: unknown): boolean {
  return JSON.stringify(sorted(status)) === JSON.stringify(sorted(existing))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, part]) => [name, sorted(part)]),
  )
}
