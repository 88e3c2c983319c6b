/** Records Events, which `kubectl describe` shows. */

import { randomBytes } from 'node:crypto'
import { redactText } from '#common/redact.ts'
import { keyOfOwner } from './desired/names.ts'
import type { Owner } from './desired/observed.ts'
import type { KubeClient } from './kube/client.ts'
import { FIELD_MANAGER } from './kube/client.ts'
import { EVENT, LEASE } from './kube/resources.ts'
import type { Clock, Log } from './ports.ts'
import { LEASE_NAME } from './runtime/lease.ts'

/** The API server deletes Events after an hour by default. */
const REPEAT_AFTER_MS = 1_800_000
/** Characters: the API server rejects longer messages. */
const MAX_MESSAGE_LENGTH = 1000

export type EventType = 'Normal' | 'Warning'

export class Events {
  readonly #client: KubeClient
  readonly #clock: Clock
  readonly #log: Log
  /** By pipeline: the text of each recent Event, and when it was recorded (ms since the epoch). */
  readonly #recent = new Map<string, Map<string, number>>()

  constructor(client: KubeClient, clock: Clock, log: Log) {
    this.#client = client
    this.#clock = clock
    this.#log = log
  }

  /** Skips an Event that was recorded in the last half hour: retries repeat it. Never rejects. */
  async recordOnce(
    owner: Owner,
    type: EventType,
    reason: string,
    message: string,
    signal?: AbortSignal,
  ): Promise<void> {
    if (this.#isNew(keyOfOwner(owner), `${reason} ${message}`)) await this.record(owner, type, reason, message, signal)
  }

  /** Never rejects: a failed Event does not fail the pass. */
  async record(owner: Owner, type: EventType, reason: string, message: string, signal?: AbortSignal): Promise<void> {
    const { apiVersion, kind, name, namespace, uid } = owner
    const at = new Date(this.#clock.now()).toISOString().replace(/\.\d+/, '')
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, namespace },
      involvedObject: { apiVersion, kind, name, namespace, uid },
      type,
      reason,
      message: redactText(message).slice(0, MAX_MESSAGE_LENGTH),
      source: { component: FIELD_MANAGER },
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    }
    await this.#client.create(EVENT, event, signal).catch(error => {
      this.#log('warn', 'failed to record Event', {
        reason,
        pipeline: keyOfOwner(owner),
        error: (error as Error).message,
      })
    })
  }

  /** Records what must outlast a pipeline and its namespace: in the log, and as an Event about the operator's own Lease. */
  async recordLasting(namespace: string, owner: Owner, reason: string, message: string, signal: AbortSignal) {
    if (!this.#isNew(keyOfOwner(owner), `${reason} ${message}`)) return
    this.#log('warn', message, { reason, pipeline: keyOfOwner(owner) })
    const { apiVersion, kind } = LEASE
    const lease = { apiVersion, kind, namespace, name: LEASE_NAME, uid: '' }
    await this.record(lease, 'Warning', reason, `SalesPipeline ${keyOfOwner(owner)}: ${message}`, signal)
  }

  forget(key: string): void {
    this.#recent.delete(key)
  }

  #isNew(key: string, text: string): boolean {
    const now = this.#clock.now()
    const recent = this.#recent.get(key) ?? new Map<string, number>()
    this.#recent.set(key, recent)
    for (const [old, at] of recent) if (now - at >= REPEAT_AFTER_MS) recent.delete(old)
    if (recent.has(text)) return false
    recent.set(text, now)
    return true
  }
}
