/**
 * Keeps a copy of all objects of a kind: lists, then watches from there, for as long as it runs. Supervised: whatever
 * ends a watch, it goes on after a pause with jitter; what the server no longer has (410) is listed anew; a connection
 * that says nothing is given up; now and then everything is listed again. Listeners are given keys, never objects.
 */
import { backOff } from '#pipeline/backoff.ts'
import { acceptOf, type KubeClient, KubeError } from '../kube/client.ts'
import { type KubeObject, keyOf, pathOf, type Resource } from '../kube/resources.ts'
import type { Chance, Clock, Log } from '../ports.ts'

/** The server ends a watch by itself after so long, a random share more: reconnects are spread. */
const WATCH_SECONDS = 300
/** Bookmarks come about once a minute, so that silence of this length is a connection that hangs. */
const STALE_AFTER_MS = 150_000
/** Heals what no event told. */
const RELIST_EVERY_MS = 900_000
/** A watch that ends sooner than this counts as a failure: a server that closes at once is not asked in a loop. */
const SHORTEST_WATCH_MS = 1000
/** After so many failures in a row it is listed anew. */
const FAILURES_BEFORE_LIST = 3
/** Of so many known objects, one half gone at once is believed only when a second list says it too. */
const GUARDED_FROM = 4
/** Until that second list. */
const CONFIRM_AFTER_MS = 1600
/** Pauses after watches that failed. */
const RETRY = { baseMs: 200, capMs: 30_000 }

export type ReflectorOptions = {
  client: KubeClient
  resource: Resource
  labelSelector?: string
  metadataOnly?: boolean
  clock: Clock
  chance: Chance
  log: Log
  /** Called with the key of every object that came, changed or went, and with what it was and is. */
  onChange: (key: string, before: KubeObject | undefined, after: KubeObject | undefined) => void
  onRestart?: (why: 'ended' | 'failed' | 'expired' | 'stale') => void
  staleAfterMs?: number
  relistEveryMs?: number
}

type Event = {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: KubeObject & { code?: number; message?: string }
}

export class Reflector {
  readonly objects = new Map<string, KubeObject>()
  /** Resolves once the first list is here. */
  readonly synced: Promise<void>
  /** ms since the epoch; of the last list, event or bookmark. */
  heardAt = 0
  readonly #options: ReflectorOptions
  #isSynced: () => void = () => {}
  /** Of the newest that was heard; null: list anew. From an older one a watch would tell again what is no longer so. */
  #version: string | null = null
  #listedAt = 0

  constructor(options: ReflectorOptions) {
    this.#options = options
    this.synced = new Promise(resolve => {
      this.#isSynced = resolve
    })
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, chance, resource, log, onRestart, relistEveryMs = RELIST_EVERY_MS } = this.#options
    let failures = 0
    while (!signal.aborted) {
      const startedAt = clock.now()
      try {
        if (this.#version === null || startedAt - this.#listedAt >= relistEveryMs) await this.#list(signal)
        await this.#watch(signal)
        if (clock.now() - startedAt < SHORTEST_WATCH_MS) throw new KubeError(0, 'Ended', 'the watch ended at once')
        failures = 0
        onRestart?.('ended')
      } catch (error) {
        if (signal.aborted) return
        const expired = error instanceof KubeError && error.code === 410
        onRestart?.(expired ? 'expired' : error instanceof Stale ? 'stale' : 'failed')
        failures++
        if (expired || failures >= FAILURES_BEFORE_LIST) this.#version = null
        log(expired ? 'info' : 'warn', `watching ${resource.plural} goes on after: ${(error as Error).message}`, {
          failures,
        })
        await clock.sleep(backOff({ attempt: failures - 1, ...RETRY }, chance), signal)
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    let listed = await this.#ask(signal)
    const missing = this.#missingFrom(listed.items).length
    if (this.objects.size >= GUARDED_FROM && missing * 2 > this.objects.size) {
      const { resource, log, clock, chance } = this.#options
      log(
        'warn',
        `a list of ${resource.plural} lacks ${missing} of ${this.objects.size}: asking again before it is believed`,
      )
      await clock.sleep(backOff({ attempt: 0, baseMs: CONFIRM_AFTER_MS, capMs: CONFIRM_AFTER_MS }, chance), signal)
      listed = await this.#ask(signal)
    }
    for (const key of this.#missingFrom(listed.items)) this.#set(key, undefined)
    for (const item of listed.items) this.#set(keyOf(item), item)
    this.#listedAt = this.heardAt = this.#options.clock.now()
    this.#version = listed.resourceVersion
    this.#isSynced()
  }

  #ask(signal: AbortSignal) {
    const { client, resource, labelSelector, metadataOnly = false } = this.#options
    return client.list(resource, { ...(labelSelector && { labelSelector }), metadataOnly, signal })
  }

  #missingFrom(items: KubeObject[]): string[] {
    const keys = new Set(items.map(keyOf))
    return [...this.objects.keys()].filter(key => !keys.has(key))
  }

  /** Until the server ends it. Throws Stale, or KubeError with code 410 when the version that it goes on from is gone. */
  async #watch(signal: AbortSignal): Promise<void> {
    const {
      client,
      resource,
      labelSelector,
      metadataOnly,
      clock,
      chance,
      staleAfterMs = STALE_AFTER_MS,
    } = this.#options
    const silence = new AbortController()
    let timer = setTimeout(() => silence.abort(), staleAfterMs)
    try {
      const query = {
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: this.#version!,
        timeoutSeconds: Math.round(WATCH_SECONDS * (1 + chance.next())),
        labelSelector,
      }
      const accept = acceptOf('', metadataOnly)
      const both = AbortSignal.any([signal, silence.signal])
      const stream = await client.stream('GET', pathOf(resource), { query, signal: both, ...(accept && { accept }) })
      for await (const event of linesOf(stream)) {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), staleAfterMs)
        this.heardAt = clock.now()
        this.#take(JSON.parse(event) as Event)
      }
    } catch (error) {
      if (silence.signal.aborted && !signal.aborted) throw new Stale(staleAfterMs)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #take({ type, object }: Event): void {
    if (type === 'ERROR') throw new KubeError(object.code ?? 0, 'Watch', object.message ?? 'the watch failed')
    if (type !== 'BOOKMARK') {
      const { apiVersion, kind } = this.#options.resource
      this.#set(keyOf(object), type === 'DELETED' ? undefined : { ...object, apiVersion, kind })
    }
    this.#version = object.metadata.resourceVersion ?? this.#version
  }

  #set(key: string, after: KubeObject | undefined): void {
    const before = this.objects.get(key)
    if (before?.metadata.resourceVersion === after?.metadata.resourceVersion) return
    // Half of an object's bytes, and nothing that we decide by.
    if (after) delete after.metadata.managedFields
    if (after) this.objects.set(key, after)
    else this.objects.delete(key)
    this.#options.onChange(key, before, after)
  }
}

class Stale extends Error {
  constructor(ms: number) {
    super(`nothing was heard for ${ms / 1000} s, not even a bookmark`)
  }
}

async function* linesOf(stream: AsyncIterable<Buffer | string> & { setEncoding(encoding: 'utf8'): void }) {
  stream.setEncoding('utf8')
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line !== '') yield line
  }
}
