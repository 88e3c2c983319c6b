/**
 * Talks to the API server with the credentials that @kubernetes/client-node finds (kubeconfig, ServiceAccount, token
 * files that change). Requests are ours: the client's own makes a new TLS connection for each, turns known kinds into
 * classes that lose fields, and has no way to apply a custom resource's status on the server's side.
 */
import { Agent as HttpAgent, request as http, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent, request as https, type RequestOptions } from 'node:https'
import { text } from 'node:stream/consumers'
import type { KubeConfig } from '@kubernetes/client-node'
import { UserError } from '#pipeline/user-error.ts'
import { type KubeObject, keyOf, type Metadata, pathOf, type Resource } from './resources.ts'

/** The one field manager of everything that we write (server-side apply). */
export const FIELD_MANAGER = 'salespipeline-operator'

/** Long enough for a busy API server, short enough that a hung connection is noticed. */
const REQUEST_TIMEOUT_MS = 20_000
/** Objects per page of a list: bounds memory and the time of one answer. */
const PAGE = 500

type Query = Record<string, string | number | boolean | undefined>
export type KubeRequest = {
  query?: Query | undefined
  body?: unknown
  contentType?: string
  accept?: string | undefined
  signal?: AbortSignal | undefined
}
export type List = { items: KubeObject[]; resourceVersion: string }
export type ApplyOptions = { force?: boolean; signal?: AbortSignal | undefined }

/** What the API server refused, or that it could not be reached (`code` 0). `message` is its own. */
export class KubeError extends UserError {
  readonly code: number
  /** Such as NotFound, Conflict, AlreadyExists, Invalid, Forbidden, Expired. */
  readonly reason: string
  /** When it asked for patience. */
  readonly retryAfterMs: number | undefined
  constructor(code: number, reason: string, message: string, retryAfterMs?: number) {
    super(message)
    this.name = 'KubeError'
    this.code = code
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

export const isKubeError = (error: unknown, ...codes: number[]): error is KubeError =>
  error instanceof KubeError && codes.includes(error.code)

export class KubeClient {
  readonly #config: KubeConfig
  readonly #agents = [new HttpAgent({ keepAlive: true }), new HttpsAgent({ keepAlive: true })] as const

  readonly #wrote: (verb: string, resource: string) => void

  /** Throws when the configuration names no cluster. `wrote` is told of every request that may change something. */
  constructor(config: KubeConfig, wrote: (verb: string, resource: string) => void = () => {}) {
    if (!config.getCurrentCluster())
      throw new UserError('the kubeconfig has no current cluster; set KUBECONFIG, or its current-context')
    this.#config = config
    this.#wrote = wrote
  }

  async get(resource: Resource, namespace: string, name: string, signal?: AbortSignal): Promise<KubeObject> {
    return this.json('GET', pathOf(resource, namespace, name), { signal })
  }

  /** Null where there is none. */
  async find(resource: Resource, namespace: string, name: string, signal?: AbortSignal): Promise<KubeObject | null> {
    return this.get(resource, namespace, name, signal).catch(error => {
      if (isKubeError(error, 404)) return null
      throw error
    })
  }

  /** All of a kind, page by page; `metadataOnly` leaves out everything else, such as the values of Secrets. */
  async list(
    resource: Resource,
    options: {
      namespace?: string
      labelSelector?: string
      metadataOnly?: boolean
      signal?: AbortSignal | undefined
    } = {},
  ): Promise<List> {
    const { namespace, labelSelector, metadataOnly, signal } = options
    const items: KubeObject[] = []
    let next: string | undefined
    for (;;) {
      const page = await this.json<{
        items: KubeObject[] | null
        metadata: { resourceVersion: string; continue?: string }
      }>('GET', pathOf(resource, namespace), {
        query: { limit: PAGE, continue: next, labelSelector },
        signal,
        accept: acceptOf('List', metadataOnly),
      })
      // Items of a list do not say what they are; an empty one of metadata is null.
      for (const item of page.items ?? []) items.push({ ...item, apiVersion: resource.apiVersion, kind: resource.kind })
      next = page.metadata.continue
      if (!next) return { items, resourceVersion: page.metadata.resourceVersion }
    }
  }

  /** Server-side apply: the object holds exactly the fields that are ours. A conflict is a KubeError 409 unless forced. */
  async apply(object: KubeObject, resource: Resource, options: ApplyOptions = {}): Promise<KubeObject> {
    return this.#apply(object, resource, undefined, options)
  }

  /** The same for the status subresource, whose only writer we are. */
  async applyStatus(object: KubeObject, resource: Resource, options: ApplyOptions = {}): Promise<KubeObject> {
    return this.#apply(object, resource, 'status', { ...options, force: true })
  }

  async #apply(object: KubeObject, resource: Resource, subresource: string | undefined, options: ApplyOptions) {
    const { name, namespace } = object.metadata
    return this.json<KubeObject>('PATCH', pathOf(resource, namespace, name, subresource), {
      query: { fieldManager: FIELD_MANAGER, force: options.force },
      body: object,
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
    })
  }

  /** `metadata.resourceVersion`, where it stands in the patch, must still be the object's (409 otherwise). */
  async mergePatch(resource: Resource, metadata: Metadata, patch: object, signal?: AbortSignal): Promise<KubeObject> {
    return this.json('PATCH', pathOf(resource, metadata.namespace, metadata.name), {
      body: patch,
      contentType: 'application/merge-patch+json',
      query: { fieldManager: FIELD_MANAGER },
      signal,
    })
  }

  async create(resource: Resource, object: KubeObject, signal?: AbortSignal): Promise<KubeObject> {
    const query = { fieldManager: FIELD_MANAGER }
    return this.json('POST', pathOf(resource, object.metadata.namespace), { query, body: object, signal })
  }

  async replace(resource: Resource, object: KubeObject, signal?: AbortSignal): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    const query = { fieldManager: FIELD_MANAGER }
    return this.json('PUT', pathOf(resource, namespace, name), { query, body: object, signal })
  }

  /** What the API server would store in place of `live` (null: anew), with its defaults; nothing is stored. */
  async dryRun(resource: Resource, object: KubeObject, live: KubeObject | null): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    const query = { dryRun: 'All', fieldValidation: 'Strict' }
    if (!live) return this.json('POST', pathOf(resource, namespace), { query, body: object })
    const body = { ...object, metadata: { ...object.metadata, resourceVersion: live.metadata.resourceVersion } }
    return this.json('PUT', pathOf(resource, namespace, name), { query, body })
  }

  /** Only the object with this uid, so that one made anew under the same name stays. One that is gone is success. */
  async delete(resource: Resource, { namespace, name, uid }: Metadata, signal?: AbortSignal): Promise<void> {
    const body = { propagationPolicy: 'Background', ...(uid && { preconditions: { uid } }) }
    await this.json('DELETE', pathOf(resource, namespace, name), { body, signal }).catch(error => {
      if (!isKubeError(error, 404)) throw error
    })
  }

  /** Whether the cluster serves the kind. */
  async serves({ apiVersion, plural }: Resource, signal?: AbortSignal): Promise<boolean> {
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    try {
      const { resources } = await this.json<{ resources: { name: string }[] }>('GET', path, { signal })
      return resources.some(({ name }) => name === plural)
    } catch (error) {
      if (isKubeError(error, 404)) return false
      throw error
    }
  }

  /** One request with a time-out. Throws KubeError. */
  async json<T>(method: string, path: string, options: KubeRequest = {}): Promise<T> {
    const signal = withTimeout(options.signal, REQUEST_TIMEOUT_MS)
    if (method !== 'GET' && !options.query?.dryRun) this.#wrote(method, resourceIn(path))
    const answer = await this.stream(method, path, { ...options, signal })
    try {
      return JSON.parse(await text(answer)) as T
    } catch (error) {
      throw unreachable(error)
    }
  }

  /** The answer's body as it comes, for watches; ended by `signal`. Throws KubeError unless the answer is a success. */
  async stream(method: string, path: string, options: KubeRequest): Promise<IncomingMessage> {
    const answer = await this.#send(method, path, options).catch(error => {
      throw unreachable(error)
    })
    const code = answer.statusCode ?? 0
    if (code >= 200 && code < 300) return answer
    throw await refusal(code, answer)
  }

  async #send(method: string, path: string, { query = {}, body, contentType, accept, signal }: KubeRequest) {
    const url = new URL(this.#config.getCurrentCluster()!.server.replace(/\/$/, '') + path)
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const options: RequestOptions = { method, signal, headers: {} }
    await this.#config.applyToHTTPSOptions(options)
    const secure = url.protocol === 'https:'
    // Theirs closes the connection after each request; through a proxy only theirs knows the way.
    if (!this.#config.getCurrentCluster()!.proxyUrl) options.agent = this.#agents[secure ? 1 : 0]
    options.headers = {
      ...(options.headers as OutgoingHttpHeaders),
      accept: accept ?? 'application/json',
      'user-agent': FIELD_MANAGER,
      ...(payload !== undefined && {
        'content-type': contentType ?? 'application/json',
        'content-length': Buffer.byteLength(payload),
      }),
    }
    return new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = (secure ? https : http)(url, options, resolve)
      outgoing.once('error', reject)
      outgoing.end(payload)
    })
  }

  /** Ends the connections that wait for the next request. */
  close(): void {
    for (const agent of this.#agents) agent.destroy()
  }
}

/** `/apis/apps/v1/namespaces/shop/deployments/x` → deployments */
function resourceIn(path: string): string {
  const parts = path.replace(/^\/(api|apis\/[^/]+)\/[^/]+\//, '').split('/')
  return (parts[0] === 'namespaces' && parts.length > 2 ? parts[2] : parts[0])!
}

export function acceptOf(what: 'List' | '', metadataOnly = false): string | undefined {
  return metadataOnly ? `application/json;as=PartialObjectMetadata${what};g=meta.k8s.io;v=v1` : undefined
}

function withTimeout(signal: AbortSignal | undefined, ms: number): AbortSignal {
  const timeout = AbortSignal.timeout(ms)
  return signal ? AbortSignal.any([signal, timeout]) : timeout
}

async function refusal(code: number, answer: IncomingMessage): Promise<KubeError> {
  const body = await text(answer).catch(() => '')
  const seconds = Number(answer.headers['retry-after'])
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined
  try {
    const { reason, message } = JSON.parse(body) as { reason?: string; message?: string }
    return new KubeError(code, reason ?? String(code), message ?? body, retryAfterMs)
  } catch {
    return new KubeError(code, String(code), body || answer.statusMessage || 'no answer', retryAfterMs)
  }
}

function unreachable(error: unknown): KubeError {
  const cause = error as NodeJS.ErrnoException
  const what = cause.name === 'TimeoutError' ? 'it did not answer in time' : cause.message
  return new KubeError(0, 'Unreachable', `cannot reach the API server: ${what || cause.code}`)
}

/** For messages: `Deployment shop/ecommerce-processor`. */
export const describeObject = (object: KubeObject): string => `${object.kind} ${keyOf(object)}`
