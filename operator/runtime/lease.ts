/**
 * One replica leads: whoever holds the Lease. Others judge by their own clock how long its record has not changed, so
 * that clocks need not agree; the holder stops before they may take over. The model is client-go's leader election.
 */
import { backOff } from '#pipeline/backoff.ts'
import { isKubeError, type KubeClient } from '../kube/client.ts'
import { type KubeObject, LEASE } from '../kube/resources.ts'
import type { Chance, Clock, Log } from '../ports.ts'

export type LeaseTimes = {
  /** A record that did not change for so long is anybody's. */
  durationMs: number
  /** The holder that could not renew for so long stops leading; less than the duration by more than one request. */
  renewWithinMs: number
  retryMs: number
}

/** A dead leader is followed within 10 s, one that stops within 2 s; one small write every 2 s while nothing happens. */
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
  #seen = { version: '', at: 0 }

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
   * Waits for the lease, then calls `lead` with a signal that aborts when the lease is lost or `signal` aborts. Comes
   * back when `lead` has ended; gives the lease back unless it was lost.
   */
  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { times = LEASE_TIMES, identity } = this.#options
    while (!(await this.#tryToHold(signal))) {
      if (signal.aborted) return
      const pause = { attempt: 0, baseMs: times.retryMs, capMs: times.retryMs }
      await this.#clock.sleep(backOff(pause, this.#chance), signal)
    }
    this.#log('info', 'leading', { identity })
    const lost = new AbortController()
    const keeping = this.#keep(lost, signal)
    try {
      await lead(AbortSignal.any([signal, lost.signal]))
    } finally {
      const held = !lost.signal.aborted
      lost.abort()
      await keeping
      if (held) await this.#release()
    }
  }

  /** Renews until the lease is lost. */
  async #keep(lost: AbortController, signal: AbortSignal): Promise<void> {
    const { times = LEASE_TIMES } = this.#options
    const both = AbortSignal.any([lost.signal, signal])
    let renewedAt = this.#clock.now()
    while (!both.aborted) {
      await this.#clock.sleep(times.retryMs, both)
      if (both.aborted) return
      const deadline = AbortSignal.timeout(Math.max(1, renewedAt + times.renewWithinMs - this.#clock.now()))
      const sentAt = this.#clock.now()
      if (await this.#tryToHold(AbortSignal.any([both, deadline]))) renewedAt = sentAt
      else if (!both.aborted && this.#clock.now() - renewedAt >= times.renewWithinMs) {
        this.#log('warn', 'the lease could not be renewed in time: no longer leading')
        lost.abort()
      }
    }
  }

  /** True when the lease is ours now. A failure is told and answered with false. */
  async #tryToHold(signal: AbortSignal): Promise<boolean> {
    const { namespace, name, identity, times = LEASE_TIMES } = this.#options
    try {
      const lease = await this.#client.find(LEASE, namespace, name, signal)
      const spec = (lease?.spec ?? {}) as Spec
      const version = lease?.metadata.resourceVersion ?? ''
      if (version !== this.#seen.version) this.#seen = { version, at: this.#clock.now() }
      const isFree = !spec.holderIdentity || this.#clock.now() - this.#seen.at >= times.durationMs
      if (lease && spec.holderIdentity !== identity && !isFree) return false
      const next = this.#record(lease, spec)
      const held = lease
        ? await this.#client.replace(LEASE, next, signal)
        : await this.#client.create(LEASE, next, signal)
      this.#seen = { version: held.metadata.resourceVersion!, at: this.#clock.now() }
      return true
    } catch (error) {
      // Somebody was faster: the version that we replace is no longer the newest.
      if (!isKubeError(error, 409) && !signal.aborted) this.#log('warn', `the lease: ${(error as Error).message}`)
      return false
    }
  }

  #record(lease: KubeObject | null, spec: Spec): KubeObject {
    const { namespace, name, identity, times = LEASE_TIMES } = this.#options
    const now = new Date(this.#clock.now()).toISOString().replace('Z', '000Z')
    const stays = spec.holderIdentity === identity
    return {
      apiVersion: LEASE.apiVersion,
      kind: LEASE.kind,
      metadata: lease?.metadata ?? { namespace, name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(times.durationMs / 1000),
        acquireTime: stays ? (spec.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (spec.leaseTransitions ?? 0) + (stays ? 0 : 1),
      },
    }
  }

  /** So that the next one need not wait until it expires. */
  async #release(): Promise<void> {
    const { namespace, name, identity } = this.#options
    try {
      const lease = await this.#client.find(LEASE, namespace, name)
      const spec = (lease?.spec ?? {}) as Spec
      if (!lease || spec.holderIdentity !== identity) return
      await this.#client.replace(LEASE, { ...lease, spec: { ...spec, holderIdentity: '', leaseDurationSeconds: 1 } })
    } catch (error) {
      this.#log('warn', `the lease is not given back and will expire: ${(error as Error).message}`)
    }
  }
}
