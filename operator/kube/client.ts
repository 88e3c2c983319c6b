/**
 * Client of the API server, with the credentials that @kubernetes/client-node finds (kubeconfig, ServiceAccount, token
 * files that change). We send our own requests because the library opens a new TLS connection for each, converts known
 * kinds into classes that lose fields, and has no server-side apply for the status of a custom resource.
 */
import { Agent as HttpAgent, request as http, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent, request as https, type RequestOptions } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeConfig } from '@kubernetes/client-node'
import { redactText, serverText } from '#common/redact.ts'
import { UserError } from '#pipeline/user-error.ts'
import { type KubeObject, keyOf, type Metadata, pathOf, type Resource } from './resources.ts'

/** Field manager of everything that we write by server-side apply. */
export const FIELD_MANAGER = 'salespipeline-operator'

/** Long enough for a busy API server, short enough that a hung connection is noticed. */
const REQUEST_TIMEOUT_MS = 20_000
/** Objects per page of a list: bounds memory and the time of one response. */
const PAGE_SIZE = 500
/** How often a request is sent again because the API server said when to (Retry-After); client-go has the same bound. */
const MAX_RETRIES = 10

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

/** The API server rejected a request (`message` is its own), or could not be reached (`code` 0). */
export class KubeError extends UserError {
  readonly code: number
  /** Reason of the API server, such as NotFound, Conflict, AlreadyExists, Invalid, Forbidden, Expired. */
  readonly reason: string
  /** From its Retry-After header. */
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

const isPostponed = (error: KubeError): error is KubeError & { retryAfterMs: number } =>
  error.retryAfterMs !== undefined && (error.code === 429 || error.code >= 500)

export class KubeClient {
  readonly #config: KubeConfig
  readonly #agents = [new HttpAgent({ keepAlive: true }), new HttpsAgent({ keepAlive: true })] as const

  readonly #onWrite: (verb: string, resource: string) => void

  /** Throws when the configuration names no cluster. `onWrite` is called for every request that may change something. */
  constructor(config: KubeConfig, onWrite: (verb: string, resource: string) => void = () => {}) {
    if (!config.getCurrentCluster())
      throw new UserError(
        'the kubeconfig has no current cluster; set current-context in the kubeconfig, or set KUBECONFIG to another file',
      )
    this.#config = config
    this.#onWrite = onWrite
  }

  async get(resource: Resource, namespace: string, name: string, signal?: AbortSignal): Promise<KubeObject> {
    return this.json('GET', pathOf(resource, namespace, name), { signal })
  }

  /** Resolves with null when the object does not exist. */
  async find(resource: Resource, namespace: string, name: string, signal?: AbortSignal): Promise<KubeObject | null> {
    return this.get(resource, namespace, name, signal).catch(error => {
      if (isKubeError(error, 404)) return null
      throw error
    })
  }

  /** All objects of a kind; `metadataOnly` omits everything else, such as the values of Secrets. */
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
        query: { limit: PAGE_SIZE, continue: next, labelSelector },
        signal,
        accept: acceptOf('List', metadataOnly),
      })
      // Items of a list have no kind; an empty list of metadata has null for items.
      for (const item of page.items ?? []) items.push({ ...item, apiVersion: resource.apiVersion, kind: resource.kind })
      next = page.metadata.continue
      if (!next) return { items, resourceVersion: page.metadata.resourceVersion }
    }
  }

  /** Server-side apply: the object holds exactly the fields that we own. A conflict is a KubeError 409 unless forced. */
  async apply(object: KubeObject, resource: Resource, options: ApplyOptions = {}): Promise<KubeObject> {
    return this.#apply(object, resource, undefined, options)
  }

  /** The same for the status subresource; forced, because only we write it. */
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

  /** If the patch has `metadata.resourceVersion`, the object must still have it (KubeError 409 otherwise). */
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

  /** Resolves with the object that the API server would store in place of `live` (null: as a new object). Stores nothing. */
  async dryRun(resource: Resource, object: KubeObject, live: KubeObject | null): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    const query = { dryRun: 'All', fieldValidation: 'Strict' }
    if (!live) return this.json('POST', pathOf(resource, namespace), { query, body: object })
    const body = { ...object, metadata: { ...object.metadata, resourceVersion: live.metadata.resourceVersion } }
    return this.json('PUT', pathOf(resource, namespace, name), { query, body })
  }

  /** Deletes only the object with this uid, not a new one of the same name. Succeeds when it no longer exists. */
  async delete(resource: Resource, { namespace, name, uid }: Metadata, signal?: AbortSignal): Promise<void> {
    const body = { propagationPolicy: 'Background', ...(uid && { preconditions: { uid } }) }
    await this.json('DELETE', pathOf(resource, namespace, name), { body, signal }).catch(error => {
      if (!isKubeError(error, 404)) throw error
    })
  }

  /** Resolves with true if the cluster serves the kind. */
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

  /** Sends one request with a time-out. Throws KubeError. */
  async json<T>(method: string, path: string, options: KubeRequest = {}): Promise<T> {
    const signal = withTimeout(options.signal, REQUEST_TIMEOUT_MS)
    if (method !== 'GET' && !options.query?.dryRun) this.#onWrite(method, resourceIn(path))
    const response = await this.stream(method, path, { ...options, signal })
    try {
      return JSON.parse(await text(response)) as T
    } catch (error) {
      throw unreachable(error)
    }
  }

  /**
   * The response body as a stream, for watches; `signal` ends it. Throws KubeError unless the response is a success. A
   * request that the API server postpones (429 or 5xx with Retry-After) is sent again when it says: a busy server does
   * so, and since Kubernetes 1.34 one whose watch cache of a kind is not filled yet.
   */
  async stream(method: string, path: string, options: KubeRequest): Promise<IncomingMessage> {
    for (let retries = 0; ; retries++) {
      const response = await this.#send(method, path, options).catch(error => {
        throw unreachable(error)
      })
      const code = response.statusCode ?? 0
      if (code >= 200 && code < 300) return response
      const error = await rejection(code, response)
      if (!isPostponed(error) || retries === MAX_RETRIES) throw error
      await sleep(error.retryAfterMs, undefined, options.signal && { signal: options.signal }).catch(() => {
        throw error
      })
    }
  }

  async #send(method: string, path: string, { query = {}, body, contentType, accept, signal }: KubeRequest) {
    const url = new URL(this.#config.getCurrentCluster()!.server.replace(/\/$/, '') + path)
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const options: RequestOptions = { method, signal, headers: {} }
    await this.#config.applyToHTTPSOptions(options)
    const secure = url.protocol === 'https:'
    // The library's agent closes the connection after each request, but through a proxy only that agent works.
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

  /** Closes idle connections. */
  close(): void {
    for (const agent of this.#agents) agent.destroy()
  }
}

/** `/apis/apps/v1/namespaces/shop/deployments/x` → deployments */
function resourceIn(path: string): string {
  const parts = path.replace(/^\/(api|apis\/[^/]+)\/[^/]+\//, '').split('/')
  return (parts[0] === 'namespaces' && parts.length > 2 ? parts[2] : parts[0])!
}

export function acceptOf(suffix: 'List' | '', metadataOnly = false): string | undefined {
  return metadataOnly ? `application/json;as=PartialObjectMetadata${suffix};g=meta.k8s.io;v=v1` : undefined
}

function withTimeout(signal: AbortSignal | undefined, ms: number): AbortSignal {
  const timeout = AbortSignal.timeout(ms)
  return signal ? AbortSignal.any([signal, timeout]) : timeout
}

async function rejection(code: number, response: IncomingMessage): Promise<KubeError> {
  const body = await text(response).catch(() => '')
  const seconds = Number(response.headers['retry-after'])
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined
  try {
    const { reason, message } = JSON.parse(body) as { reason?: string; message?: string }
    return new KubeError(code, reason ?? String(code), redactText(message ?? body), retryAfterMs)
  } catch {
    return new KubeError(
      code,
      String(code),
      serverText(body || response.statusMessage || 'the API server sent an empty response'),
      retryAfterMs,
    )
  }
}

function unreachable(error: unknown): KubeError {
  const cause = error as NodeJS.ErrnoException
  const problem = cause.name === 'TimeoutError' ? 'no answer in time' : cause.message
  return new KubeError(0, 'Unreachable', `cannot reach the API server: ${serverText(problem || String(cause.code))}`)
}

/** For messages: `Deployment shop/ecommerce-processor`. */
export const describeObject = (object: KubeObject): string => `${object.kind} ${keyOf(object)}`
