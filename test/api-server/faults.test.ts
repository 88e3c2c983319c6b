/** Tests the faults that a client of the API server meets in the long run. Each test proves that its fault took effect. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'
import { KubeClient } from '#operator/kube/client.ts'
import { type KubeObject, SALES_PIPELINE } from '#operator/kube/resources.ts'
import { Reflector } from '#operator/runtime/reflector.ts'
import { type ApiProxy, startApiProxy } from '../support/api-proxy.ts'
import { type ApiServer, describeWithApiServer } from '../support/api-server.ts'
import { type Json, Kube } from '../support/kube.ts'
import { ownApiServer, temporaryFolder } from '../support/services.ts'
import { until } from '../support/until.ts'
import {
  configFor,
  installOperator,
  type OperatorOptions,
  operatorToken,
  pipelineNamed,
  type RunningOperator,
  SYSTEM,
  startOperator,
} from './rig.ts'

const LONG = 180_000
/** For 200 pipelines. The time is printed, not asserted: it depends on the API server's speed on this machine. */
const MANY_MS = 300_000
/** Pause before a restart: an operator that cannot start must not be started in a tight loop. */
const RESTART_AFTER_MS = 1000
const PIPELINES = '/apis/salespipeline.dev/v1alpha1/salespipelines'
const LEASES = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases`

let server: ApiServer
let kube: Kube
let proxy: ApiProxy
let token: string
/** Each test has one of its own: the API server keeps the objects of the tests before. */
let namespace: string
let namespaces = 0
const running: RunningOperator[] = []
let isTestOver = false

const start = async (options: Omit<OperatorOptions, 'address'> = {}) => {
  const operator = await startOperator({ address: proxy, token, ...options })
  running.push(operator)
  return operator
}

/**
 * Restarts the operator whenever it exits, as Kubernetes does: a lack of CPU or of the API server for seconds costs it its
 * lease. Returns the operator that runs now.
 */
function keepRunning(first: RunningOperator, restart: () => Promise<RunningOperator> = start): () => RunningOperator {
  let operator = first
  const restartWhenLost = async () => {
    while ((await operator.ended) === 'lost') {
      await new Promise(resolve => setTimeout(resolve, RESTART_AFTER_MS))
      if (isTestOver) return
      operator = await restart()
      if (isTestOver) await operator.stop()
    }
  }
  void restartWhenLost()
  return () => operator
}

/** Returns how many log lines of all operators of the test contain the text. */
const countLogged = (text: string) => running.flatMap(({ lines }) => lines).filter(line => line.includes(text)).length

const replicasOf = ({ spec }: KubeObject) => (spec as { workers: { replicas: number } }).workers.replicas
const add = (name: string) => kube.demand('POST', kube.pipelinePath(namespace), pipelineNamed(name))
const deployments = () => `/apis/apps/v1/namespaces/${namespace}/deployments`
const deploymentOf = (name: string) => kube.find(`${deployments()}/${name}-processor`)
const created = (name: string, withinMs = 60_000) =>
  until(`the Deployment of ${name} exists`, () => deploymentOf(name), withinMs)
const leader = async () => (await kube.find(`${LEASES}/salespipeline-operator`))?.spec

describeWithApiServer('the operator', () => {
  beforeAll(async () => {
    server = await ownApiServer('faults')
    kube = new Kube(server)
    await installOperator(kube)
  }, LONG)
  afterAll(() => server?.stop())
  beforeEach(async ({ onTestFailed }) => {
    running.length = 0
    isTestOver = false
    namespace = `faults-${namespaces++}`
    await kube.demand('POST', '/api/v1/namespaces', { metadata: { name: namespace } })
    // The operators of the test before may have died without releasing it.
    await kube.request('DELETE', `${LEASES}/salespipeline-operator`)
    token = await operatorToken(kube)
    proxy = await startApiProxy(server)
    onTestFailed(() => console.log(running.flatMap(({ lines }) => lines.slice(-30)).join('\n')))
  }, LONG)
  afterEach(async () => {
    isTestOver = true
    await Promise.all(running.map(operator => operator.stop()))
    await proxy.close()
  }, LONG)

  it(
    'continues after the API server was down',
    async () => {
      keepRunning(await start())
      await add('before')
      await created('before')
      const before = countLogged('restarting watch')
      await server.kill()
      await until('a watch is restarted', () => countLogged('restarting watch') > before, 30_000)
      await server.start()
      await add('after')
      await created('after')
    },
    LONG,
  )

  it(
    'continues after the resource version of its watch expired (410)',
    async () => {
      const operator = await start()
      await add('before')
      await created('before')
      const expired = {
        type: 'ERROR',
        object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' },
      }
      expect(proxy.tellWatches('salespipelines', expired)).toBe(1)
      await until(
        'a watch is counted as expired',
        async () =>
          (await operator.metric('salespipeline_operator_watch_restarts_total{kind="SalesPipeline",why="expired"}')) ===
          1,
      )
      await add('after')
      await created('after')
    },
    LONG,
  )

  it(
    'resumes a broken watch at the last version, without repeating earlier states',
    async () => {
      const stopping = new AbortController()
      onTestFinished(() => stopping.abort())
      const seen: string[] = []
      const restarts: unknown[] = []
      const reflector = new Reflector({
        client: new KubeClient(configFor(proxy, token)),
        resource: SALES_PIPELINE,
        clock: { now: Date.now, sleep: ms => new Promise(resolve => setTimeout(resolve, ms)) },
        chance: { next: Math.random },
        log: (_level, _message, fields) => restarts.push((fields as { error: string }).error),
        onChange: (_key, object) => {
          if (object.metadata.namespace === namespace) seen.push(`${object.metadata.name} ${replicasOf(object)}`)
        },
      })
      void reflector.run(stopping.signal)
      await reflector.synced
      await add('before')
      for (const replicas of [3, 4]) {
        const patch = { spec: { workers: { replicas } } }
        await kube.demand('PATCH', kube.pipelinePath(namespace, 'before'), patch, 'application/merge-patch+json')
      }
      await until('all changes are seen', () => seen.at(-1) === 'before 4')
      expect(proxy.tellWatches('salespipelines', { type: 'ERROR', object: { kind: 'Status', code: 500 } })).toBe(1)
      await add('after')
      await until('the watch resumes', () => seen.at(-1) === 'after 2')
      expect(restarts).toEqual(['the watch on salespipelines failed'])
      expect(seen).toEqual(['before 2', 'before 3', 'before 4', 'after 2'])
    },
    LONG,
  )

  it(
    'continues with a new token after its token was revoked',
    async () => {
      const file = join(temporaryFolder('token'), 'token')
      writeFileSync(file, token)
      const config = configFor(proxy, '')
      config.users = [{ name: 'operator', authProvider: { name: 'tokenFile', config: { tokenFile: file } } }]
      // A new process reads the token when it starts.
      keepRunning(await start({ config }), () => start({ token: readFileSync(file, 'utf8') }))
      await add('before')
      await created('before')
      // A token is bound to its account: recreating the account revokes it at once.
      const path = `/api/v1/namespaces/${SYSTEM}/serviceaccounts`
      await kube.demand('DELETE', `${path}/salespipeline-operator`)
      await kube.demand('POST', path, { metadata: { name: 'salespipeline-operator' } })
      proxy.tellWatches('salespipelines', { type: 'ERROR', object: { kind: 'Status', code: 410, message: 'gone' } })
      await until('the token is rejected', () => countLogged('Unauthorized') > 0, 30_000)
      writeFileSync(file, await operatorToken(kube))
      await add('after')
      await created('after', 90_000)
    },
    LONG,
  )

  it(
    'continues after its connections hung silently',
    async () => {
      const operator = await start({ staleAfterMs: 4000 })
      await add('before')
      await created('before')
      expect(proxy.freeze()).toBeGreaterThan(5)
      await add('after')
      await created('after')
      expect(
        await operator.metric('salespipeline_operator_watch_restarts_total{kind="SalesPipeline",why="stale"}'),
      ).toBeGreaterThan(0)
    },
    LONG,
  )

  it(
    'deletes nothing when a list is empty by mistake',
    async () => {
      const operator = await start()
      const names = ['a', 'b', 'c', 'd', 'e']
      for (const name of names) await add(name)
      for (const name of names) await created(name)
      const uids = async () => Promise.all(names.map(async name => (await deploymentOf(name)).metadata.uid))
      const before = await uids()
      let empty = 0
      proxy.mishap = ({ method, path, query }) => {
        const isList =
          method === 'GET' && !query.has('watch') && (path === PIPELINES || path === '/apis/apps/v1/deployments')
        if (!isList || empty >= 2) return undefined
        empty++
        return { status: 200, body: { metadata: { resourceVersion: '1' }, items: [] } }
      }
      const expired = { type: 'ERROR', object: { kind: 'Status', code: 410, message: 'gone' } }
      for (const plural of ['salespipelines', 'deployments']) proxy.tellWatches(plural, expired)
      await until(
        'both lists are requested again',
        () => operator.lines.filter(line => line.includes('listing again to confirm')).length === 2,
      )
      expect(empty).toBe(2)
      await add('f')
      await created('f')
      expect(await uids()).toEqual(before)
      expect(proxy.requests.filter(({ method }) => method === 'DELETE')).toEqual([])
    },
    LONG,
  )

  it(
    'hands over to another leader within seconds',
    async () => {
      const first = await start({ identity: 'first' })
      await until('the first leads', async () => (await leader())?.holderIdentity === 'first')
      const second = await start({ identity: 'second' })
      await add('before')
      await created('before')
      // The second replica has tried to acquire the lease several times by then.
      for (let renewals = 0; renewals < 3; renewals++) {
        const { renewTime } = await leader()
        await until('the first renews', async () => (await leader()).renewTime !== renewTime)
      }
      expect(second.lines.filter(line => line.includes('acquired leader lease'))).toEqual([])
      await first.stop()
      await until('the second leads', async () => (await leader())?.holderIdentity === 'second')
      await add('after')
      await created('after')
      // A leader that cannot renew stops before another may start.
      const third = await start({ identity: 'third' })
      const linesBefore = second.lines.length
      proxy.mishap = ({ path }) => (path.includes('/leases') ? 'hang' : undefined)
      expect(await second.ended).toBe('lost')
      expect(second.lines.slice(linesBefore).some(line => line.includes('no longer leading'))).toBe(true)
      proxy.mishap = null
      await until('the third leads', async () => (await leader())?.holderIdentity === 'third', 60_000)
      await add('last')
      await created('last')
      expect(third.lines.filter(line => line.includes('acquired leader lease')).length).toBe(1)
    },
    LONG,
  )

  it(
    'reconciles 200 pipelines at once and then writes nothing',
    async () => {
      const operator = keepRunning(await start())
      await until('it leads', async () => (await leader())?.holderIdentity)
      const startedAt = Date.now()
      const names = Array.from({ length: 200 }, (_, i) => `p${i}`)
      await Promise.all(names.map(add))
      await until(
        '200 Deployments exist',
        async () => (await kube.demand('GET', deployments())).items.length === 200,
        MANY_MS,
      )
      const withStatus = async () =>
        (await kube.demand('GET', kube.pipelinePath(namespace))).items.filter(
          (p: Json) => p.status?.conditions?.length > 0,
        ).length
      await until('all have a status', async () => (await withStatus()) === 200, MANY_MS)
      const seconds = (Date.now() - startedAt) / 1000
      await new Promise(resolve => setTimeout(resolve, 15_000))
      const mark = proxy.requests.length
      await new Promise(resolve => setTimeout(resolve, 12_000))
      const written = proxy.requests
        .slice(mark)
        .filter(({ method, path }) => method !== 'GET' && !path.includes('/leases'))
      expect(written).toEqual([])
      const bytes = await operator().metric('process_resident_memory_bytes')
      console.log(
        `200 pipelines: all reconciled in ${seconds.toFixed(1)} s; ${mark} requests; ${(bytes / 1e6).toFixed(0)} MB with the test itself`,
      )
    },
    3 * MANY_MS,
  )
})
