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
import { type Json, Kube } from '../support/kube.ts'
import { ownApiServer } from '../support/services.ts'
import { configFor, pipelineNamed } from './rig.ts'

const { signal } = new AbortController()
let server: ApiServer
let kube: Kube
let client: KubeClient
let now = Date.parse('2026-01-01T00:00:00Z')

async function created(name: string): Promise<Owner> {
  const { apiVersion, kind, metadata } = await kube.demand('POST', kube.pipelinePath('default'), pipelineNamed(name))
  return { apiVersion, kind, name, namespace: 'default', uid: metadata.uid }
}

function writer(): StatusWriter {
  const clock = { now: () => now, sleep: async () => {} }
  return new StatusWriter({ client, clock, events: new Events(client, clock, () => {}) })
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
})
