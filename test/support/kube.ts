/** A minimal Kubernetes client for tests, which shares no code with the operator's client. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import type { ApiServerAddress } from './api-server.ts'
import { until } from './until.ts'

// biome-ignore lint/suspicious/noExplicitAny: API objects of any kind
export type Json = any
export type Answer = { code: number; body: Json }

const agent = new Agent({ keepAlive: true })
const AS_TABLE = 'application/json;as=Table;g=meta.k8s.io;v=v1'
const SALES_PIPELINES = '/apis/salespipeline.dev/v1alpha1'
export const RBAC = '/apis/rbac.authorization.k8s.io/v1'

/** A request resolves with any response of the API server; it rejects only without a response. */
export class Kube {
  readonly #address: ApiServerAddress
  constructor(address: ApiServerAddress) {
    this.#address = address
  }

  request(
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
    accept?: string,
  ): Promise<Answer> {
    const { url, caFile, token } = this.#address
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': contentType }),
      ...(accept && { accept }),
    }
    return new Promise((resolve, reject) => {
      const outgoing = request(`${url}${path}`, { method, headers, agent, ca: readFileSync(caFile) }, answer => {
        let text = ''
        answer.setEncoding('utf8').on('data', chunk => (text += chunk))
        answer.once('error', reject).once('end', () => resolve({ code: answer.statusCode!, body: jsonOf(text) }))
      })
      outgoing.once('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  /** Does the same, but rejects when the API server refuses the request. */
  async demand(method: string, path: string, body?: unknown, contentType?: string): Promise<Json> {
    const answer = await this.request(method, path, body, contentType)
    if (answer.code >= 300) throw new Error(`${method} ${path}: ${answer.code} ${answer.body.message ?? answer.body}`)
    return answer.body
  }

  /** Deletes an object, whether or not it still exists. */
  async remove(path: string): Promise<void> {
    const { code, body } = await this.request('DELETE', path)
    if (code >= 300 && code !== 404) throw new Error(`DELETE ${path}: ${code} ${body.message ?? body}`)
  }

  async find(path: string): Promise<Json | null> {
    const answer = await this.request('GET', path)
    if (answer.code === 404) return null
    if (answer.code >= 300) throw new Error(`GET ${path}: ${answer.code} ${answer.body.message ?? answer.body}`)
    return answer.body
  }

  /** Reads as kubectl get does: with the columns that the API server shows. */
  table(path: string): Promise<Answer> {
    return this.request('GET', path, undefined, undefined, AS_TABLE)
  }

  async namespace(name: string): Promise<string> {
    await this.demand('POST', '/api/v1/namespaces', { metadata: { name } })
    return name
  }

  /** Creates a ServiceAccount with a role. Resolves with its token; the API server follows the role a moment later. */
  async account(
    namespace: string,
    name: string,
    role: { kind: 'Role' | 'ClusterRole'; name: string },
  ): Promise<string> {
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`
    await this.demand('POST', accounts, { metadata: { name } })
    await this.demand('POST', `${RBAC}/namespaces/${namespace}/rolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...role },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    })
    const { status } = await this.demand('POST', `${accounts}/${name}/token`, { spec: { expirationSeconds: 600 } })
    return status.token
  }

  pipelinePath(namespace: string, name?: string): string {
    return `${SALES_PIPELINES}/namespaces/${namespace}/salespipelines${name ? `/${name}` : ''}`
  }

  /**
   * Installs or replaces a CRD, and waits until the API server serves every version as this CRD says, and lists it. The
   * status of the CRD does not tell: the server follows a change a moment later. The description of a column that only this
   * CRD has does.
   */
  async installCrd(crd: Json): Promise<void> {
    const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    const path = `${collection}/${crd.metadata.name}`
    const mark = randomUUID()
    const marked = withColumnDescription(crd, mark)
    const existing = await this.find(path)
    if (existing) await this.demand('PUT', path, { ...marked, metadata: { ...existing.metadata, ...crd.metadata } })
    else await this.demand('POST', collection, marked)
    const { group, names, versions } = crd.spec
    for (const { name } of versions.filter((version: Json) => version.served))
      await until(`the API server follows CRD ${crd.metadata.name} in ${name}`, async () => {
        const resources = `/apis/${group}/${name}/${names.plural}?limit=1`
        const { body } = await this.table(resources)
        const discovered = await this.request('GET', `/apis/${group}/${name}`)
        const isListed = discovered.body.resources?.some((resource: Json) => resource.name === names.plural)
        return isListed && body.columnDefinitions?.some((shown: Json) => shown.description === mark)
      })
  }
}

function withColumnDescription(crd: Json, description: string): Json {
  const described = structuredClone(crd)
  for (const version of described.spec.versions) {
    version.additionalPrinterColumns ??= [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }]
    version.additionalPrinterColumns.at(-1).description = description
  }
  return described
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
