/**
 * Keeps a cache of all objects of one kind: lists them, then watches from there. It never gives up: a watch that ends is
 * restarted after a back-off, an expired version (410) leads to a new list, a silent connection is closed, and everything
 * is listed again from time to time.
 */
import { backOff } from '#pipeline/backoff.ts'
import { acceptOf, type KubeClient, KubeError } from '../kube/client.ts'
import { type KubeObject, keyOf, pathOf, type Resource } from '../kube/resources.ts'
import type { Chance, Clock, Log } from '../ports.ts'
import { PackedObjects } from './packed.ts'

/** Asked of the server as the length of a watch, plus a random share: this spreads reconnects. */
const WATCH_SECONDS = 300
/** Bookmarks arrive about once a minute: a connection that is silent for longer hangs. */
const STALE_AFTER_MS = 150_000
/** Corrects what a missed event left wrong. */
const RELIST_EVERY_MS = 900_000
/** A shorter watch counts as a failure: a server that closes it at once must not be asked in a loop. */
const MIN_WATCH_MS = 1000
/** Failures in a row after which the objects are listed again. */
const FAILURES_BEFORE_LIST = 3
/** From this many objects on, a list that is missing more than half must be confirmed by a second list. */
const CONFIRM_LISTS_FROM = 4
/** Delay before that second list. */
const CONFIRM_AFTER_MS = 1600
/** Delays after watches that failed. */
const RETRY = { baseMs: 200, capMs: 30_000 }

export type ReflectorOptions = {
  client: KubeClient
  resource: Resource
  /** Omitted: all namespaces. */
  namespace?: string
  labelSelector?: string
  metadataOnly?: boolean
  clock: Clock
  chance: Chance
  log: Log
  /** See PackedObjects. */
  groupsOf?: (object: KubeObject) => string[]
  /** Called for every object that was added, changed or deleted, with its last state. */
  onChange: (key: string, object: KubeObject) => void
  onRestart?: (why: 'ended' | 'failed' | 'expired' | 'stale') => void
  staleAfterMs?: number
  relistEveryMs?: number
}

type Event = {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: KubeObject & { code?: number; message?: string }
}

export class Reflector {
  readonly objects: PackedObjects
  /** Resolves once the first list was received. */
  readonly synced: Promise<void>
  /** ms since the epoch: the last list, event or bookmark. */
  lastContactAt = 0
  /** Why the last list or watch failed; null once one succeeds. */
  fault: string | null = null
  readonly #options: ReflectorOptions
  #markSynced: () => void = () => {}
  /** Resource version to watch from; null: list again. From an older one the watch would repeat outdated states. */
  #version: string | null = null
  #listedAt = 0

  constructor(options: ReflectorOptions) {
    this.#options = options
    this.objects = new PackedObjects(options.groupsOf)
    this.synced = new Promise(resolve => {
      this.#markSynced = resolve
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
        if (clock.now() - startedAt < MIN_WATCH_MS)
          throw new KubeError(0, 'Ended', 'the watch ended immediately after it started')
        failures = 0
        onRestart?.('ended')
      } catch (error) {
        if (signal.aborted) return
        const expired = error instanceof KubeError && error.code === 410
        onRestart?.(expired ? 'expired' : error instanceof Stale ? 'stale' : 'failed')
        failures++
        this.fault = (error as Error).message
        if (expired || failures >= FAILURES_BEFORE_LIST) this.#version = null
        const fields = { resource: resource.plural, error: (error as Error).message, failures }
        log(expired ? 'info' : 'warn', 'restarting watch', fields)
        await clock.sleep(backOff({ attempt: failures - 1, ...RETRY }, chance), signal)
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    let list = await this.#fetchList(signal)
    const missing = this.#missingFrom(list.items).length
    if (this.objects.size >= CONFIRM_LISTS_FROM && missing * 2 > this.objects.size) {
      const { resource, log, clock, chance } = this.#options
      const fields = { resource: resource.plural, missing, known: this.objects.size }
      log('warn', 'API server returned fewer than half of the known objects; listing again to confirm', fields)
      await clock.sleep(backOff({ attempt: 0, baseMs: CONFIRM_AFTER_MS, capMs: CONFIRM_AFTER_MS }, chance), signal)
      list = await this.#fetchList(signal)
    }
    for (const key of this.#missingFrom(list.items)) this.#set(key, undefined)
    for (const item of list.items) this.#set(keyOf(item), item)
    this.#listedAt = this.lastContactAt = this.#options.clock.now()
    this.#version = list.resourceVersion
    this.fault = null
    this.#markSynced()
  }

  #fetchList(signal: AbortSignal) {
    const { client, resource, namespace, labelSelector, metadataOnly = false } = this.#options
    const where = { ...(namespace && { namespace }), ...(labelSelector && { labelSelector }) }
    return client.list(resource, { ...where, metadataOnly, signal })
  }

  #missingFrom(items: KubeObject[]): string[] {
    const keys = new Set(items.map(keyOf))
    return [...this.objects.keys()].filter(key => !keys.has(key))
  }

  /** Watches until the server ends it. Throws Stale, or KubeError with code 410 when `#version` has expired. */
  async #watch(signal: AbortSignal): Promise<void> {
    const {
      client,
      resource,
      namespace,
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
      const stream = await client.stream('GET', pathOf(resource, namespace), {
        query,
        signal: both,
        ...(accept && { accept }),
      })
      for await (const event of linesOf(stream)) {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), staleAfterMs)
        this.lastContactAt = clock.now()
        this.#handle(JSON.parse(event) as Event)
      }
    } catch (error) {
      if (silence.signal.aborted && !signal.aborted) throw new Stale(staleAfterMs)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #handle({ type, object }: Event): void {
    if (type === 'ERROR')
      throw new KubeError(
        object.code ?? 0,
        'Watch',
        object.message ?? `the watch on ${this.#options.resource.plural} failed`,
      )
    if (type !== 'BOOKMARK') {
      const { apiVersion, kind } = this.#options.resource
      this.#set(keyOf(object), type === 'DELETED' ? undefined : { ...object, apiVersion, kind })
    }
    this.#version = object.metadata.resourceVersion ?? this.#version
  }

  #set(key: string, after: KubeObject | undefined): void {
    if (this.objects.version(key) === after?.metadata.resourceVersion) return
    // Managed fields are half of an object's bytes, and nothing depends on them.
    if (after) delete after.metadata.managedFields
    const last = after ?? this.objects.get(key)!
    if (after) this.objects.set(key, after)
    else this.objects.delete(key)
    this.#options.onChange(key, last)
  }
}

class Stale extends Error {
  constructor(ms: number) {
    super(`no event or bookmark for ${ms / 1000} s`)
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
