/** Writes the status when it changed, at most once per interval. */
import { codesWhere } from '#pipeline/conditions.ts'
import { keyOfOwner } from '../desired/names.ts'
import type { Owner } from '../desired/observed.ts'
import type { Events } from '../events.ts'
import type { KubeClient } from '../kube/client.ts'
import { type KubeObject, SALES_PIPELINE } from '../kube/resources.ts'
import type { Clock } from '../ports.ts'
import type { Status } from './input.ts'

/** Shortest time between two writes for one pipeline. */
const WRITE_EVERY_MS = 10_000

/** Reasons for not being ready that are part of normal operation. */
const EXPECTED: ReadonlySet<string> = new Set(codesWhere(({ expected }) => expected === true))

export class StatusWriter {
  readonly #deps: { client: KubeClient; events: Events; clock: Clock }
  readonly #written = new Map<string, { at: number; text: string; uid: string; generation: number }>()

  constructor(deps: { client: KubeClient; events: Events; clock: Clock }) {
    this.#deps = deps
  }

  /** Resolves with the ms until a change may be written that came too early; undefined: nothing is left to write. */
  async write(resource: KubeObject, owner: Owner, status: Status, signal: AbortSignal): Promise<number | undefined> {
    const { client, clock } = this.#deps
    const key = keyOfOwner(owner)
    const text = JSON.stringify(status)
    const last = this.#written.get(key)
    const isSame = last?.uid === owner.uid ? last.text === text : isIncluded(status, resource.status)
    if (isSame) return undefined
    // Clients may wait for the status of a new generation.
    const isSameSpec = last?.uid === owner.uid && last.generation === status.observedGeneration
    const wait = isSameSpec ? last.at + WRITE_EVERY_MS - clock.now() : 0
    if (wait > 0) return wait
    const { apiVersion, kind, namespace, name, uid } = owner
    await client.applyStatus({ apiVersion, kind, metadata: { namespace, name, uid }, status }, SALES_PIPELINE, {
      signal,
    })
    this.#written.set(key, { at: clock.now(), text, uid, generation: status.observedGeneration })
    await this.#recordTransition(resource, owner, status, signal)
    return undefined
  }

  forget(key: string): void {
    this.#written.delete(key)
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
