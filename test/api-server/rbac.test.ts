/**
 * What the operator may do and what not, asked as its ServiceAccount for every resource and verb of a real API server, in both
 * modes; and what people may do by the roles view, edit and admin.
 */
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { type ApiServer, describeWithCrds } from '../support/api-server.ts'
import { type Json, Kube, RBAC } from '../support/kube.ts'
import { ownApiServer } from '../support/services.ts'
import { until } from '../support/until.ts'
import { installChart, installForeignCrds, operatorToken, pipelineNamed, SYSTEM, startOperator } from './rig.ts'

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']
const OWNED = 'get list watch create patch delete'
/** Resource as kubectl names it → verbs, in each namespace that the operator serves. */
const ALLOWED: Record<string, string> = {
  'salespipelines.salespipeline.dev': 'get list watch patch',
  'salespipelines.salespipeline.dev/status': 'patch',
  'salespipelines.salespipeline.dev/finalizers': 'update',
  configmaps: OWNED,
  services: OWNED,
  serviceaccounts: OWNED,
  'deployments.apps': OWNED,
  'jobs.batch': OWNED,
  'poddisruptionbudgets.policy': OWNED,
  'networkpolicies.networking.k8s.io': OWNED,
  'podmonitors.monitoring.coreos.com': OWNED,
  'kafkatopics.kafka.strimzi.io': OWNED,
  pods: 'list watch',
  'replicasets.apps': 'list',
  namespaces: 'get',
  events: 'create',
}
/** In its own namespace; with a name: only this object. */
const OWN: Record<string, string> = {
  events: 'create',
  'leases.coordination.k8s.io': 'create',
  'leases.coordination.k8s.io salespipeline-operator': 'get update',
  'serviceaccounts/token salespipeline-operator': 'create',
}
/** What every user may ask the API server. */
const EVERYONE = new Set(['authorization.k8s.io', 'authentication.k8s.io'])

/** Some thousand requests, and the start of an API server, on a busy machine. */
vi.setConfig({ testTimeout: 240_000 })
const servers: ApiServer[] = []
afterAll(() => Promise.all(servers.map(server => server.stop())))

async function startServer(
  ...values: string[]
): Promise<{ server: ApiServer; kube: Kube; operator: Kube; token: string }> {
  const server = await ownApiServer('rbac')
  servers.push(server)
  const kube = new Kube(server)
  await installForeignCrds(kube)
  for (const name of ['served', 'also-served', 'other']) await kube.namespace(name)
  await installChart(kube, ...values)
  const token = await operatorToken(kube)
  return { server, kube, operator: new Kube({ ...server, token }), token }
}

/** Resolves with everything that the API server serves, such as deployments.apps/scale, and a subresource that it does not list. */
async function resourcesOf(kube: Kube): Promise<string[]> {
  const { groups } = await kube.demand('GET', '/apis')
  const paths: [string, string][] = groups
    .filter(({ name }: Json) => !EVERYONE.has(name))
    .map((group: Json) => [`/apis/${group.preferredVersion.groupVersion}`, `.${group.name}`])
  const lists = [['/api/v1', ''] as const, ...paths].map(async ([path, suffix]) => {
    const { resources } = await kube.demand('GET', path)
    return resources.map(({ name }: Json) => name.replace(/^[^/]+/, `$&${suffix}`))
  })
  return [...(await Promise.all(lists)).flat(), 'salespipelines.salespipeline.dev/finalizers']
}

type Question = { resource: string; verb: string; namespace: string; name?: string }

async function may(user: Kube, { resource, verb, namespace, name = '' }: Question): Promise<boolean> {
  const [kind, subresource = ''] = resource.split('/') as [string, string?]
  const [plural, ...group] = kind.split('.')
  const resourceAttributes = { group: group.join('.'), resource: plural, subresource, verb, namespace, name }
  const review = { spec: { resourceAttributes } }
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
  return (await user.demand('POST', path, review)).status.allowed
}

/** Resolves with `resource verb` of everything that the user may do in the namespace; empty: in all of them. */
async function rights(user: Kube, resources: string[], namespace: string): Promise<string[]> {
  const questions = resources.flatMap(resource => VERBS.map(verb => ({ resource, verb, namespace })))
  const found: string[] = []
  const ask = async () => {
    for (let next = questions.pop(); next; next = questions.pop())
      if (await may(user, next)) found.push(`${next.resource} ${next.verb}`)
  }
  await Promise.all(Array.from({ length: 8 }, ask))
  return found.sort()
}

const listed = (allowed: Record<string, string>) =>
  Object.entries(allowed)
    .filter(([resource]) => !resource.includes(' '))
    .flatMap(([resource, verbs]) => verbs.split(' ').map(verb => `${resource} ${verb}`))
    .sort()

async function expectOwnRights(operator: Kube): Promise<void> {
  const named = Object.entries(OWN).filter(([resource]) => resource.includes(' '))
  for (const [entry, verbs] of named) {
    const [resource, name] = entry.split(' ') as [string, string]
    for (const verb of VERBS) {
      const allowed = await may(operator, { resource, verb, namespace: SYSTEM, name })
      const isListed = verbs.split(' ').includes(verb) || (OWN[resource] ?? '').split(' ').includes(verb)
      expect({ entry, verb, allowed }).toEqual({ entry, verb, allowed: isListed })
      if (verb === 'create') continue // a new object has no name yet
      expect(await may(operator, { resource, verb, namespace: SYSTEM, name: 'another' })).toBe(false)
    }
  }
}

describeWithCrds('the permissions', () => {
  let started: ReturnType<typeof startServer> | undefined
  const everywhere = () => (started ??= startServer())

  it('of the operator are the same in every namespace in the cluster-wide mode, and include no Secret', async () => {
    const { kube, operator } = await everywhere()
    const resources = await resourcesOf(kube)
    expect(resources.length).toBeGreaterThan(60)
    for (const namespace of ['other', '']) expect(await rights(operator, resources, namespace)).toEqual(listed(ALLOWED))
    expect(await rights(operator, resources, SYSTEM)).toEqual(listed({ ...ALLOWED, ...OWN }))
    await expectOwnRights(operator)
    // RBAC cannot leave out a namespace; the admission policy does.
    const create = (namespace: string) =>
      operator.request('POST', `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { generateName: 'a-' } })
    await until('the policy is in force', async () => (await create('kube-system')).code !== 201)
    const { code, body } = await create('kube-system')
    expect(code).toBe(422)
    expect(body.message).toContain('the SalesPipeline operator does not act in kube-system')
    expect((await create('other')).code).toBe(201)
    expect(
      (await kube.request('POST', '/api/v1/namespaces/kube-system/configmaps', { metadata: { name: 'b' } })).code,
    ).toBe(201)
  })

  it('of people include SalesPipelines in the roles view, edit and admin', async () => {
    const { kube, server } = await everywhere()
    const labels = (role: string) => `rbac.authorization.k8s.io%2Faggregate-to-${role}%3Dtrue`
    const roles = `${RBAC}/clusterroles`
    const view = ['get', 'list', 'watch']
    const edit = [...view, 'create', 'update', 'patch', 'delete', 'deletecollection']
    const expected: Record<string, string[]> = { view, edit, admin: edit }
    for (const [role, verbs] of Object.entries(expected)) {
      // A controller, which does not run here, gives these rules to the role.
      const { items } = await kube.demand('GET', `${roles}?labelSelector=${labels(role)}`)
      const ours = items.filter(({ metadata }: Json) => metadata.name.startsWith('salespipeline-'))
      await kube.demand('POST', roles, {
        metadata: { name: `test-${role}` },
        rules: ours.flatMap(({ rules }: Json) => rules),
      })
      const user = new Kube({
        ...server,
        token: await kube.account('served', role, { kind: 'ClusterRole', name: `test-${role}` }),
      })
      await until(`${role} is in force`, () =>
        may(user, { resource: 'salespipelines.salespipeline.dev', verb: 'list', namespace: 'served' }),
      )
      const ofPipelines = await rights(user, ['salespipelines.salespipeline.dev', 'secrets', 'pods'], 'served')
      expect(ofPipelines).toEqual(verbs.map(verb => `salespipelines.salespipeline.dev ${verb}`).sort())
      const scale = await rights(user, ['salespipelines.salespipeline.dev/scale'], 'served')
      expect(scale.includes('salespipelines.salespipeline.dev/scale patch')).toBe(role !== 'view')
    }
  })

  it('of the operator include the metadata of Secrets only if variables may come from them', async () => {
    const { kube, operator, server, token } = await startServer('operator.allow.envSecrets=true')
    const resources = await resourcesOf(kube)
    expect(await rights(operator, resources, 'other')).toEqual(listed({ ...ALLOWED, secrets: 'list watch' }))
    const running = await startOperator({ address: server, token, envSecrets: true })
    try {
      const env = [{ name: 'SHOP_KEY', valueSecretRef: { name: 'prod', key: 'key' } }]
      await kube.demand('POST', '/api/v1/namespaces/other/secrets', { metadata: { name: 'prod' } })
      await kube.demand('POST', kube.pipelinePath('other'), pipelineNamed('shop', { pods: { env } }))
      const reason = async () => {
        const { status } = await kube.demand('GET', kube.pipelinePath('other', 'shop'))
        return status?.conditions?.find((c: Json) => c.type === 'Accepted')?.reason
      }
      await until('the Secret without the label is refused', async () => (await reason()) === 'PodSettingRefused')
      const deployment = '/apis/apps/v1/namespaces/other/deployments/shop-processor'
      expect(await kube.find(deployment)).toBeNull()
      const labelled = { metadata: { labels: { 'salespipeline.dev/env': 'true' } } }
      await kube.demand('PATCH', '/api/v1/namespaces/other/secrets/prod', labelled, 'application/merge-patch+json')
      await until('the Secret with the label is permitted', () => kube.find(deployment))
    } finally {
      await running.stop()
    }
  })
})

describeWithCrds('the operator with watchNamespaces', () => {
  let cluster: Awaited<ReturnType<typeof startServer>>
  beforeAll(async () => {
    cluster = await startServer('operator.watchNamespaces={served,also-served}')
  })

  it('gives the operator permissions in watchNamespaces and in its own namespace, and none elsewhere', async () => {
    const { kube, operator } = cluster
    const resources = await resourcesOf(kube)
    for (const namespace of ['served', 'also-served'])
      expect(await rights(operator, resources, namespace)).toEqual(listed(ALLOWED))
    for (const namespace of ['other', 'kube-system', ''])
      expect(await rights(operator, resources, namespace)).toEqual([])
    expect(await rights(operator, resources, SYSTEM)).toEqual(listed(OWN))
    await expectOwnRights(operator)
  })

  it('serves the pipelines of these namespaces, and no others', async () => {
    const { kube, server, token } = cluster
    const running = await startOperator({ address: server, token, watchNamespaces: ['served', 'also-served'] })
    try {
      for (const namespace of ['other', 'served', 'also-served'])
        await kube.demand('POST', kube.pipelinePath(namespace), pipelineNamed('shop'))
      for (const namespace of ['served', 'also-served'])
        await until(`the pipeline in ${namespace} has its status`, async () => {
          const { status } = await kube.demand('GET', kube.pipelinePath(namespace, 'shop'))
          return status?.conditions?.some((c: Json) => c.type === 'Accepted' && c.status === 'True')
        })
      const { items } = await kube.demand('GET', '/apis/apps/v1/deployments')
      expect(items.map(({ metadata }: Json) => metadata.namespace).sort()).toEqual(['also-served', 'served'])
      expect((await kube.demand('GET', kube.pipelinePath('other', 'shop'))).status.conditions).toBeUndefined()
      expect(running.lines.filter(line => line.includes('forbidden'))).toEqual([])
    } finally {
      await running.stop()
    }
  })

  it('tells in /readyz which namespace lacks its Role', async () => {
    const { server, token } = cluster
    const running = await startOperator({ address: server, token, watchNamespaces: ['served', 'other'] })
    try {
      const readiness = async () => await (await fetch(`${running.url}/readyz`)).text()
      await until('the reason', async () =>
        /cannot list resource \\"pods\\" .* in the namespace \\"other\\"/.test(await readiness()),
      )
      expect((await fetch(`${running.url}/readyz`)).status).toBe(503)
    } finally {
      await running.stop()
    }
  })
})
