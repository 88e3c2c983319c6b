/** Tests how often status is written, counted by the API server's resource versions. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { CRD_FILE } from '#operator/crd/generate.ts'
import type { Owner } from '#operator/desired/observed.ts'
import { Events } from '#operator/events.ts'
import { KubeClient } from '#operator/kube/client.ts'
import type { Status } from '#operator/status/input.ts'
import { StatusWriter } from '#operator/status/writer.ts'
import { type ApiServer, describeWithApiServer } from '../support/api-server.ts'
import { type Json, Kube, RBAC } from '../support/kube.ts'
import { ownApiServer } from '../support/services.ts'
import { until } from '../support/until.ts'
import { configFor, pipelineNamed } from './rig.ts'

const { signal } = new AbortController()
let server: ApiServer
let kube: Kube
let client: KubeClient
/** By pipeline: why its status is refused. */
const refused = new Map<string, string>()
let now = Date.parse('2026-01-01T00:00:00Z')

async function created(name: string): Promise<Owner> {
  const { apiVersion, kind, metadata } = await kube.demand('POST', kube.pipelinePath('default'), pipelineNamed(name))
  return { apiVersion, kind, name, namespace: 'default', uid: metadata.uid }
}

function writer(as = client): StatusWriter {
  const clock = { now: () => now, sleep: async () => {} }
  const onRefused = (key: string, why: string | null) =>
    void (why === null ? refused.delete(key) : refused.set(key, why))
  return new StatusWriter({ client: as, clock, events: new Events(as, clock, () => {}), onRefused })
}

function statusWith(lag: number, reason = 'Streaming'): Status {
  const lastTransitionTime = '2026-01-01T00:00:00Z'
  const status = reason === 'Streaming' ? ('True' as const) : ('False' as const)
  const ready = { type: 'Ready', status, observedGeneration: 1, lastTransitionTime, reason, message: 'as it is' }
  const workers = { replicas: 2, ready: 2, desired: 2, summary: '2/2', selector: 'a=b' }
  return { observedGeneration: 1, conditions: [ready], workers, lag }
}

const read = (name: string): Promise<Json> => kube.demand('GET', kube.pipelinePath('default', name))
const eventsOf = async (name: string): Promise<string[]> => {
  const { items } = await kube.demand('GET', '/api/v1/namespaces/default/events')
  return items.filter((e: Json) => e.involvedObject.name === name).map((e: Json) => `${e.type} ${e.reason}`)
}

describeWithApiServer('the status writer', () => {
  beforeAll(async () => {
    server = await ownApiServer('writer')
    kube = new Kube(server)
    await kube.installCrd(parse(readFileSync(CRD_FILE, 'utf8')))
    client = new KubeClient(configFor(server, server.token))
  })
  afterAll(async () => {
    client?.close()
    await server?.stop()
  })

  it('writes at most once in 10 s under traffic, and ends with the newest figures', async () => {
    const [owner, status] = [await created('busy'), writer()]
    const versions = new Set<string>()
    for (let second = 0; second <= 60; second++) {
      const wait = await status.write(await read('busy'), owner, statusWith(second), signal)
      versions.add((await read('busy')).metadata.resourceVersion)
      expect(wait === undefined || wait === (10 - (second % 10)) * 1000).toBe(true)
      now += 1000
    }
    expect(versions.size).toBe(7)
    expect((await read('busy')).status.lag).toBe(60)
  })

  it('writes the status of a new generation at once, because somebody may wait for it', async () => {
    const [owner, status] = [await created('changed'), writer()]
    await status.write(await read('changed'), owner, statusWith(1), signal)
    expect(await status.write(await read('changed'), owner, statusWith(2), signal)).toBe(10_000)
    const next = { ...statusWith(2), observedGeneration: 2 }
    expect(await status.write(await read('changed'), owner, next, signal)).toBeUndefined()
    expect((await read('changed')).status.observedGeneration).toBe(2)
  })

  it('writes an unchanged status only once, also after a restart of the operator', async () => {
    const [owner, status] = [await created('calm'), writer()]
    await status.write(await read('calm'), owner, statusWith(3), signal)
    const { resourceVersion } = (await read('calm')).metadata
    for (const another of [status, writer()]) {
      now += 60_000
      expect(await another.write(await read('calm'), owner, statusWith(3), signal)).toBeUndefined()
    }
    expect((await read('calm')).metadata.resourceVersion).toBe(resourceVersion)
  })

  it('records each change of readiness as an Event, including the recovery', async () => {
    const [owner, status] = [await created('changing'), writer()]
    for (const reason of ['WorkersStarting', 'Streaming', 'Streaming', 'StoreUnavailable', 'Streaming']) {
      await status.write(await read('changing'), owner, statusWith(now % 1000, reason), signal)
      now += 10_001
    }
    expect((await eventsOf('changing')).sort()).toEqual([
      'Normal Streaming',
      'Normal Streaming',
      'Normal WorkersStarting',
      'Warning StoreUnavailable',
    ])
  })

  it('says in Ready that the CRD is too old for the status, and writes all of it once the CRD is applied', async () => {
    const crd = parse(readFileSync(CRD_FILE, 'utf8'))
    const older = structuredClone(crd)
    for (const version of older.spec.versions) delete version.schema.openAPIV3Schema.properties.status.properties.lag
    await kube.installCrd(older)
    const [owner, status] = [await created('outdated'), writer()]
    expect(await status.write(await read('outdated'), owner, statusWith(3), signal)).toBe(60_000)
    const shown = (await read('outdated')).status
    expect(shown).toMatchObject({
      observedGeneration: 1,
      conditions: [
        { type: 'Ready', status: 'Unknown', reason: 'CrdOutdated', message: expect.stringContaining('lag') },
      ],
    })
    expect(shown.conditions[0].message).toMatch(/kubectl apply --server-side -f k8s\/crd\/$/)
    const version = (await read('outdated')).metadata.resourceVersion
    expect(await status.write(await read('outdated'), owner, statusWith(3), signal)).toBe(60_000)
    expect((await read('outdated')).metadata.resourceVersion).toBe(version)
    await kube.installCrd(crd)
    expect(await status.write(await read('outdated'), owner, statusWith(3), signal)).toBeUndefined()
    expect((await read('outdated')).status).toMatchObject({ lag: 3, conditions: [{ reason: 'Streaming' }] })
    expect(refused.size).toBe(0)
  })

  it('reports a status that the API server forbids as an Event and to the operator, until it is written', async () => {
    const owner = await created('forbidden')
    const roles = `${RBAC}/namespaces/default/roles`
    const rules = [{ apiGroups: [''], resources: ['events'], verbs: ['create'] }]
    await kube.demand('POST', roles, { metadata: { name: 'limited' }, rules })
    const token = await kube.account('default', 'limited', { kind: 'Role', name: 'limited' })
    const limited = new KubeClient(configFor(server, token))
    const status = writer(limited)
    const attempt = async () => status.write(await read('forbidden'), owner, statusWith(1), signal)
    // The API server follows the RoleBinding a moment later, and Events are not repeated for half an hour.
    await until('the Event', async () => {
      await expect(attempt()).rejects.toThrow(/forbidden/)
      now += 1_800_000
      return (await eventsOf('forbidden')).includes('Warning StatusNotWritten')
    })
    expect(refused.get('default/forbidden')).toMatch(/cannot patch resource "salespipelines\/status"/)
    rules.push({ apiGroups: ['salespipeline.dev'], resources: ['salespipelines/status'], verbs: ['patch'] })
    await kube.demand('PATCH', `${roles}/limited`, { rules }, 'application/merge-patch+json')
    await until('the status is written', () =>
      attempt().then(
        () => true,
        () => false,
      ),
    )
    expect(refused.size).toBe(0)
    limited.close()
  })
})
