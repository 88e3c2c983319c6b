/**
 * Leader election by a Lease, modelled on client-go's: the replica that holds the Lease leads. The others measure by their
 * own clock how long its record has not changed, so that clocks need not agree; the holder stops before they may take over.
 */
import { backOff } from '#pipeline/backoff.ts'
import { isKubeError, type KubeClient } from '../kube/client.ts'
import { type KubeObject, LEASE } from '../kube/resources.ts'
import type { Chance, Clock, Log } from '../ports.ts'

export const LEASE_NAME = 'salespipeline-operator'

export type LeaseTimes = {
  /** A record that has not changed for this long may be taken over. */
  durationMs: number
  /** A holder that could not renew for this long stops leading; shorter than `durationMs` by more than one request. */
  renewWithinMs: number
  retryMs: number
}

/** A dead leader is replaced within 10 s, one that stops cleanly within 2 s; renewing costs one small write every 2 s. */
export const LEASE_TIMES: LeaseTimes = { durationMs: 10_000, renewWithinMs: 7000, retryMs: 2000 }

type Spec = {
  holderIdentity?: string | null
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

export class LeaderElection {
  readonly #client: KubeClient
  readonly #options: { namespace: string; name: string; identity: string; times?: LeaseTimes }
  readonly #clock: Clock
  readonly #chance: Chance
  readonly #log: Log
  /** Version of the record, and when we first observed it (ms since the epoch). */
  #observed = { version: '', at: 0 }

  constructor(
    client: KubeClient,
    options: { namespace: string; name: string; identity: string; times?: LeaseTimes },
    { clock, chance, log }: { clock: Clock; chance: Chance; log: Log },
  ) {
    this.#client = client
    this.#options = options
    this.#clock = clock
    this.#chance = chance
    this.#log = log
  }

  /**
   * Waits for the lease, then calls `lead` with a signal that aborts when the lease is lost or `signal` aborts. Resolves
   * when `lead` has ended, and releases the lease unless it was lost.
   */
  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { times = LEASE_TIMES, identity } = this.#options
    while (!(await this.#acquireOrRenew(signal))) {
      if (signal.aborted) return
      const pause = { attempt: 0, baseMs: times.retryMs, capMs: times.retryMs }
      await this.#clock.sleep(backOff(pause, this.#chance), signal)
    }
    this.#log('info', 'acquired leader lease', { identity })
    const lost = new AbortController()
    const renewing = this.#renewUntil(lost, signal)
    try {
      await lead(AbortSignal.any([signal, lost.signal]))
    } finally {
      const held = !lost.signal.aborted
      lost.abort()
      await renewing
      if (held) await this.#release()
    }
  }

  /** Renews until either signal aborts; aborts `lost` itself when the lease could not be renewed in time. */
  async #renewUntil(lost: AbortController, signal: AbortSignal): Promise<void> {
    const { times = LEASE_TIMES } = this.#options
    const both = AbortSignal.any([lost.signal, signal])
    let renewedAt = this.#clock.now()
    while (!both.aborted) {
      await this.#clock.sleep(times.retryMs, both)
      if (both.aborted) return
      const deadline = AbortSignal.timeout(Math.max(1, renewedAt + times.renewWithinMs - this.#clock.now()))
      const sentAt = this.#clock.now()
      if (await this.#acquireOrRenew(AbortSignal.any([both, deadline]))) renewedAt = sentAt
      else if (!both.aborted && this.#clock.now() - renewedAt >= times.renewWithinMs) {
        this.#log('warn', 'failed to renew leader lease in time; no longer leading')
        lost.abort()
      }
    }
  }

  /** Resolves with whether we hold the lease now. Failures are logged. */
  async #acquireOrRenew(signal: AbortSignal): Promise<boolean> {
    const { namespace, name, identity, times = LEASE_TIMES } = this.#options
    try {
      const lease = await this.#client.find(LEASE, namespace, name, signal)
      const spec = (lease?.spec ?? {}) as Spec
      const version = lease?.metadata.resourceVersion ?? ''
      if (version !== this.#observed.version) this.#observed = { version, at: this.#clock.now() }
      const isFree = !spec.holderIdentity || this.#clock.now() - this.#observed.at >= times.durationMs
      if (lease && spec.holderIdentity !== identity && !isFree) return false
      const next = this.#record(lease, spec)
      const held = lease
        ? await this.#client.replace(LEASE, next, signal)
        : await this.#client.create(LEASE, next, signal)
      this.#observed = { version: held.metadata.resourceVersion!, at: this.#clock.now() }
      return true
    } catch (error) {
      // On a conflict another replica was faster.
      if (!isKubeError(error, 409) && !signal.aborted)
        this.#log('warn', 'failed to acquire or renew leader lease; retrying', { error: (error as Error).message })
      return false
    }
  }

  #record(lease: KubeObject | null, spec: Spec): KubeObject {
    const { namespace, name, identity, times = LEASE_TIMES } = this.#options
    const now = new Date(this.#clock.now()).toISOString().replace('Z', '000Z')
    const isRenewal = spec.holderIdentity === identity
    return {
      apiVersion: LEASE.apiVersion,
      kind: LEASE.kind,
      metadata: lease?.metadata ?? { namespace, name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(times.durationMs / 1000),
        acquireTime: isRenewal ? (spec.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (spec.leaseTransitions ?? 0) + (isRenewal ? 0 : 1),
      },
    }
  }

  /** Lets the next leader start at once instead of waiting for the lease to expire. */
  async #release(): Promise<void> {
    const { namespace, name, identity } = this.#options
    try {
      const lease = await this.#client.find(LEASE, namespace, name)
      const spec = (lease?.spec ?? {}) as Spec
      if (!lease || spec.holderIdentity !== identity) return
      await this.#client.replace(LEASE, { ...lease, spec: { ...spec, holderIdentity: '', leaseDurationSeconds: 1 } })
    } catch (error) {
      this.#log('warn', 'failed to release leader lease; it will expire', { error: (error as Error).message })
    }
  }
}
