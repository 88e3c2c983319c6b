/** Events: the story that `kubectl describe` tells. */
import { randomBytes } from 'node:crypto'
import { keyOfOwner } from './desired/names.ts'
import type { Owner } from './desired/observed.ts'
import type { KubeClient } from './kube/client.ts'
import { FIELD_MANAGER } from './kube/client.ts'
import { EVENT } from './kube/resources.ts'
import type { Clock, Log } from './ports.ts'

/** The API server forgets Events after an hour. */
const TELL_AGAIN_MS = 1_800_000
/** The API server's bound on a note. */
const MOST = 1000

export type EventType = 'Normal' | 'Warning'

export class Events {
  readonly #client: KubeClient
  readonly #clock: Clock
  readonly #log: Log
  readonly #told = new Map<string, Map<string, number>>()

  constructor(client: KubeClient, clock: Clock, log: Log) {
    this.#client = client
    this.#clock = clock
    this.#log = log
  }

  /** The same once in half an hour: what is tried again and again is one story. Never rejects. */
  async tell(owner: Owner, type: EventType, reason: string, message: string, signal?: AbortSignal): Promise<void> {
    if (this.#isNew(keyOfOwner(owner), `${reason} ${message}`))
      await this.tellChange(owner, type, reason, message, signal)
  }

  /** Each time: that all is well again must stand after what was wrong. Never rejects: an Event is no reason to stop. */
  async tellChange(
    owner: Owner,
    type: EventType,
    reason: string,
    message: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const { apiVersion, kind, name, namespace, uid } = owner
    const at = new Date(this.#clock.now()).toISOString().replace(/\.\d+/, '')
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, namespace },
      involvedObject: { apiVersion, kind, name, namespace, uid },
      type,
      reason,
      message: message.slice(0, MOST),
      source: { component: FIELD_MANAGER },
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    }
    await this.#client.create(EVENT, event, signal).catch(error => {
      this.#log('warn', `an Event was not taken: ${(error as Error).message}`, { reason })
    })
  }

  forget(key: string): void {
    this.#told.delete(key)
  }

  #isNew(key: string, text: string): boolean {
    const now = this.#clock.now()
    const told = this.#told.get(key) ?? new Map<string, number>()
    this.#told.set(key, told)
    for (const [old, at] of told) if (now - at >= TELL_AGAIN_MS) told.delete(old)
    if (told.has(text)) return false
    told.set(text, now)
    return true
  }
}
