/** Tests the operator on a real API server, with the RBAC of its manifests: what it creates, keeps, rejects and deletes. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { clock } from '#common/world.ts'
import { KubeClient } from '#operator/kube/client.ts'
import { planCommand } from '#operator/plan-command.ts'
import { Removals } from '#operator/removals.ts'
import { REMOVAL_KEYS, removalAudience } from '#pipeline/removal-tokens.ts'
import { startMembersHttp } from '#processor/adapters/members-http.ts'
import { observedOf, SHAPES } from '../operator/golden.ts'
import { type ApiServer, describeWithCrds } from '../support/api-server.ts'
import { kstatusOf } from '../support/kstatus.ts'
import { type Json, Kube } from '../support/kube.ts'
import { ownApiServer, temporaryFolder, unique } from '../support/services.ts'
import { until } from '../support/until.ts'
import {
  completeJob,
  configFor,
  installForeignCrds,
  installOperator,
  operatorToken,
  pipelineNamed,
  type RunningOperator,
  removalJobPath,
  SYSTEM,
  startOperator,
} from './rig.ts'
import { finalizerSet, topicTests } from './topic-cases.ts'
import { SimulatedWorkers } from './workers.ts'

let server: ApiServer
let kube: Kube
let operator: RunningOperator
let namespace: string

const deploymentPath = (name: string, ns = namespace) => `/apis/apps/v1/namespaces/${ns}/deployments/${name}`
const conditionOf = (pipeline: Json, type: string) => pipeline?.status?.conditions?.find((c: Json) => c.type === type)

async function apply(pipeline: Json): Promise<void> {
  await kube.demand('POST', `${kube.pipelinePath(namespace)}?fieldValidation=Strict`, pipeline)
}

const ready = (name: string, reason: string) =>
  until(`Ready of ${name} has reason ${reason}`, async () => {
    const condition = conditionOf(await kube.find(kube.pipelinePath(namespace, name)), 'Ready')
    return condition?.reason === reason && condition
  })

/** Creates a worker's pod in place of the controllers. Resolves with a function that sets the state of its container. */
async function podOf(name: string, { metadata, spec }: Json): Promise<(state: object) => Promise<Json>> {
  const path = `/api/v1/namespaces/${namespace}/pods`
  await kube.demand('POST', path, { metadata: { name: `${name}-1`, labels: metadata.labels }, spec })
  const container = { name: 'processor', image: 'processor:1', imageID: '', ready: false, restartCount: 0 }
  return state =>
    kube.demand(
      'PATCH',
      `${path}/${name}-1/status`,
      { status: { phase: 'Pending', containerStatuses: [{ ...container, state }] } },
      'application/merge-patch+json',
    )
}

const created = (path: string) => until(`${path} exists`, () => kube.find(path))
const deleted = (path: string) => until(`${path} is deleted`, async () => (await kube.find(path)) === null)

async function events(name: string): Promise<string[]> {
  const { items } = await kube.demand('GET', `/api/v1/namespaces/${namespace}/events?limit=500`)
  return items
    .filter((e: Json) => e.involvedObject.name === name)
    .map((e: Json) => `${e.type} ${e.reason}: ${e.message}`)
}

describeWithCrds('the operator', () => {
  beforeAll(async () => {
    server = await ownApiServer('operator')
    kube = new Kube(server)
    await installOperator(kube)
    await installForeignCrds(kube)
    namespace = await kube.namespace(unique('shop').replaceAll('_', '-'))
    operator = await startOperator({ address: server, token: await operatorToken(kube), identity: unique('op') })
  })
  afterAll(async () => {
    await operator?.stop()
    await server?.stop()
  })
  beforeEach(({ onTestFailed }) => onTestFailed(() => console.log(operator.lines.slice(-20).join('\n'))))

  it.each(SHAPES)('creates for shape %s only objects that the API server accepts', async shape => {
    const { owner, document } = observedOf(shape)
    const ns = await kube.namespace(unique(shape).replaceAll('_', '-'))
    const strimzi = (document as Json).source.strimzi
    const spec: Json = {
      ...document,
      source: { ...(document as Json).source, ...(strimzi && { strimzi: { ...strimzi, namespace: ns } }) },
    }
    // Variables from Secrets need a permission that this operator does not have (rbac.test.ts).
    if (spec.pods?.env) spec.pods = { ...spec.pods, env: spec.pods.env.filter((set: Json) => !set.valueSecretRef) }
    await kube.demand('POST', kube.pipelinePath(ns), pipelineNamed(owner.name, spec))
    const deployment = await created(deploymentPath(`${owner.name}-processor`, ns))
    const uid = (await kube.demand('GET', kube.pipelinePath(ns, owner.name))).metadata.uid
    expect(deployment.metadata.ownerReferences[0]).toMatchObject({ uid, controller: true })
    await created(`/apis/monitoring.coreos.com/v1/namespaces/${ns}/podmonitors/${owner.name}-processor`)
    if (strimzi)
      expect(
        (await created(`/apis/kafka.strimzi.io/v1/namespaces/${ns}/kafkatopics/${ns}.${owner.name}`)).spec.topicName,
      ).toBe((document as Json).source.topic)
    const accepted = await until('Accepted', async () =>
      conditionOf(await kube.demand('GET', kube.pipelinePath(ns, owner.name)), 'Accepted'),
    )
    expect(accepted.reason).toBe('Applied')
  })

  const lastTopicTest = topicTests(() => ({ kube, server }))

  it('reports a new pipeline as not ready while no pod runs, in its condition and its columns', async () => {
    await apply(pipelineNamed('fresh'))
    expect((await ready('fresh', 'WorkersStarting')).message).toBe('0 of 2 workers ready')
    const { body } = await kube.table(kube.pipelinePath(namespace, 'fresh'))
    const names = body.columnDefinitions.map((c: Json) => c.name)
    expect(names).toEqual([
      'Name',
      'Ready',
      'Workers',
      'Lag',
      'Watermark',
      'Reason',
      'Age',
      'Delay',
      'CatchUp',
      'Message',
    ])
    expect(body.rows[0].cells.slice(0, 6)).toEqual(['fresh', 'False', '0/2', null, null, 'WorkersStarting'])
    const scale = await kube.demand('GET', `${kube.pipelinePath(namespace, 'fresh')}/scale`)
    expect(scale.spec.replicas).toBe(2)
    expect(scale.status.selector).toBe(
      'app.kubernetes.io/name=sales-pipeline,app.kubernetes.io/instance=fresh,app.kubernetes.io/component=processor',
    )
    expect(await events('fresh')).toContain('Normal Created: Deployment fresh-processor')
  })

  describe('with clients that wait', () => {
    const name = 'awaited'
    const path = () => kube.pipelinePath(namespace, name)
    const change = (spec: object) => kube.demand('PATCH', path(), { spec }, 'application/merge-patch+json')
    const kubectl = promisify(execFile)

    /** Resolves with whether kubectl finds the condition True within this time. */
    async function waits(seconds: number, condition = 'Ready'): Promise<boolean> {
      const access = [`--server=${server.url}`, `--token=${server.token}`, `--certificate-authority=${server.caFile}`]
      const args = ['wait', `salespipeline/${name}`, `--for=condition=${condition}`, `--timeout=${seconds}s`]
      try {
        await kubectl('kubectl', [...access, `--namespace=${namespace}`, ...args])
        return true
      } catch (error) {
        expect((error as { stderr: string }).stderr).toMatch(/timed out waiting for the condition/)
        return false
      }
    }

    it('tells kubectl wait and kstatus the truth about a silent topic, a good change and a doomed one', async () => {
      const workers = new SimulatedWorkers(kube, namespace, name)
      onTestFinished(() => workers.close())
      await apply(pipelineNamed(name))
      await created(deploymentPath(`${name}-processor`))
      expect(await waits(1)).toBe(false)
      const first = await workers.start()
      expect(await waits(60)).toBe(true)
      expect(kstatusOf(await kube.find(path()))).toBe('Current')

      // The worker of the earlier spec still reports that all is well.
      const before = (await kube.find(deploymentPath(`${name}-processor`))).metadata.generation
      await change({ allowedLateness: '9s' })
      expect(await waits(4)).toBe(false)
      const rollingOut = await kube.find(path())
      expect(conditionOf(rollingOut, 'Ready')).toMatchObject({ status: 'Unknown', reason: 'RollingOut' })
      expect(conditionOf(rollingOut, 'Ready').observedGeneration).toBe(rollingOut.metadata.generation)
      expect(kstatusOf(rollingOut)).toBe('InProgress')
      expect((await kube.find(deploymentPath(`${name}-processor`))).metadata.generation).toBeGreaterThan(before)
      await workers.start()
      await workers.remove(first)
      expect(await waits(60)).toBe(true)

      await change({ workers: { replicas: 1 } })
      expect(await waits(30), 'no pod is replaced').toBe(true)

      await change({ allowedLateness: '10s' })
      const crashing = await workers.startCrashing({
        ...{ level: 'error', msg: 'worker exiting', code: 'AggregationChanged' },
        error: 'AggregationChanged: give the changed aggregation a new name',
      })
      expect(await waits(60, 'Stalled')).toBe(true)
      expect(await waits(4)).toBe(false)
      const doomed = await kube.find(path())
      expect(conditionOf(doomed, 'Ready')).toMatchObject({ status: 'False', reason: 'AggregationChanged' })
      expect(kstatusOf(doomed)).toBe('Failed')

      await change({ allowedLateness: '9s' })
      await workers.remove(crashing)
      expect(await waits(60), 'the workers of the spec before run it again').toBe(true)
    }, 240_000)
  })

  it('names the quota that refuses the pods', async () => {
    await apply(pipelineNamed('refused'))
    const path = deploymentPath('refused-processor')
    await created(path)
    // No controller runs here: the test writes what it writes when the API server refuses a pod.
    const message =
      'pods "refused-processor-1-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=0, limited: pods=0'
    const condition = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }
    await kube.demand(
      'PATCH',
      `${path}/status`,
      { status: { conditions: [condition] } },
      'application/merge-patch+json',
    )
    expect((await ready('refused', 'PodsRefused')).message).toBe(
      'Kubernetes refuses pods of Deployment refused-processor: exceeded quota: compute, requested: pods=1, used: pods=0, limited: pods=0. Raise ResourceQuota compute, or lower spec.workers.resources or spec.workers.replicas',
    )
  })

  it('scales by the scale subresource without replacing pods', async () => {
    await apply(pipelineNamed('scaled'))
    const before = await created(deploymentPath('scaled-processor'))
    const scale = `${kube.pipelinePath(namespace, 'scaled')}/scale`
    await kube.demand('PATCH', scale, { spec: { replicas: 5 } }, 'application/merge-patch+json')
    const after = await until('5 replicas', async () => {
      const deployment = await kube.find(deploymentPath('scaled-processor'))
      return deployment.spec.replicas === 5 && deployment
    })
    expect(after.spec.template).toEqual(before.spec.template)
  })

  it('exports metrics of a pipeline until it is deleted', async () => {
    await apply(pipelineNamed('measured'))
    await ready('measured', 'WorkersStarting')
    const series = async () => {
      const text = await (await fetch(`${operator.url}/metrics`)).text()
      return text.split('\n').filter(line => line.includes(`pipeline="${namespace}/measured"`))
    }
    const metric = (name: string, label: string) =>
      `salespipeline_operator_${name}{pipeline="${namespace}/measured",${label}}`
    expect(await series()).toEqual([
      `${metric('ready', 'reason="WorkersStarting"')} 0`,
      `${metric('workers', 'state="desired"')} 2`,
      `${metric('workers', 'state="ready"')} 0`,
    ])
    await kube.demand('DELETE', kube.pipelinePath(namespace, 'measured'))
    await deleted(kube.pipelinePath(namespace, 'measured'))
    await until('no series is left', async () => (await series()).length === 0)
  })

  it('reverts manual changes and deletions, and names the field manager that made them', async () => {
    await apply(pipelineNamed('drift'))
    const path = deploymentPath('drift-processor')
    await created(path)
    await kube.demand(
      'PATCH',
      `${path}?fieldManager=somebody`,
      { spec: { replicas: 9 } },
      'application/merge-patch+json',
    )
    await until('replicas are reverted', async () => (await kube.find(path)).spec.replicas === 2)
    await until('an Event names the field manager', async () =>
      (await events('drift')).some(text => /FieldsTakenBack.*drift-processor.*somebody/.test(text)),
    )
    await kube.demand('DELETE', `/api/v1/namespaces/${namespace}/configmaps/drift-config`)
    await created(`/api/v1/namespaces/${namespace}/configmaps/drift-config`)
    // Fields that another field manager adds are kept.
    await kube.demand(
      'PATCH',
      `${path}?fieldManager=somebody`,
      { metadata: { labels: { team: 'red' } } },
      'application/merge-patch+json',
    )
    await kube.demand(
      'PATCH',
      kube.pipelinePath(namespace, 'drift'),
      { spec: { allowedLateness: '9s' } },
      'application/merge-patch+json',
    )
    const rolled = await until('the pod template changes', async () => {
      const deployment = await kube.find(path)
      return deployment.metadata.generation > 3 && deployment
    })
    expect(rolled.metadata.labels.team).toBe('red')
  })

  it('deletes objects that the spec no longer asks for, and fields that it no longer names', async () => {
    await apply(pipelineNamed('pruned', { ingest: { replicas: 1 }, workers: { resources: { limits: { cpu: '2' } } } }))
    await created(deploymentPath('pruned-ingest'))
    await created(`/api/v1/namespaces/${namespace}/services/pruned-ingest`)
    const limitsOf = (deployment: Json) => deployment.spec.template.spec.containers[0].resources.limits
    expect(limitsOf(await created(deploymentPath('pruned-processor')))).toEqual({ cpu: '2' })
    const patch = { spec: { ingest: { replicas: 0 }, workers: { resources: null } } }
    await kube.demand('PATCH', kube.pipelinePath(namespace, 'pruned'), patch, 'application/merge-patch+json')
    await deleted(deploymentPath('pruned-ingest'))
    await deleted(`/api/v1/namespaces/${namespace}/services/pruned-ingest`)
    await until(
      'the limits are reset',
      async () => limitsOf(await kube.find(deploymentPath('pruned-processor'))).cpu === undefined,
    )
  })

  it('does not adopt objects of others', async () => {
    const path = `/api/v1/namespaces/${namespace}/configmaps`
    await kube.demand('POST', path, { metadata: { name: 'taken-config' }, data: { key: 'value' } })
    await apply(pipelineNamed('taken'))
    expect((await ready('taken', 'ObjectConflict')).message).toContain(
      `ConfigMap ${namespace}/taken-config exists and does not belong to this pipeline`,
    )
    expect((await kube.find(`${path}/taken-config`)).data).toEqual({ key: 'value' })
    await kube.demand('DELETE', `${path}/taken-config`)
    await ready('taken', 'WorkersStarting')
  })

  it('names the Secret that a pod lacks, continues when it appears, and neither reads nor watches Secrets itself', async () => {
    const secretRef = { name: 'pg-login', key: 'password' }
    await apply(pipelineNamed('with-secret', { sinks: { postgres: { passwordSecretRef: secretRef, insecure: true } } }))
    const template = async () => (await created(deploymentPath('with-secret-processor'))).spec.template
    const before = await template()
    const show = await podOf('with-secret', before)
    await show({ waiting: { reason: 'CreateContainerConfigError', message: 'secret "pg-login" not found' } })
    expect((await ready('with-secret', 'SecretMissing')).message).toContain(
      `Secret pg-login does not exist in namespace ${namespace}. Create it`,
    )
    const secrets = `/api/v1/namespaces/${namespace}/secrets`
    await kube.demand('POST', secrets, { metadata: { name: 'pg-login' }, stringData: { password: 'pw-number-one' } })
    await show({ running: {} })
    await ready('with-secret', 'WorkersStarting')
    // Workers notice a new value themselves (common/secret-watch.ts).
    for (const change of [
      { metadata: { annotations: { note: 'x' }, labels: { 'helm.sh/chart': 'sales-pipeline-9.9.9' } } },
      { stringData: { password: 'pw-number-two' } },
    ])
      await kube.demand('PATCH', `${secrets}/pg-login`, change, 'application/merge-patch+json')
    await apply(
      pipelineNamed('after-secret', { sinks: { postgres: { passwordSecretRef: secretRef, insecure: true } } }),
    )
    await ready('after-secret', 'WorkersStarting')
    expect(await template()).toEqual(before)
    const output = [
      ...operator.lines,
      ...(await events('with-secret')),
      JSON.stringify(await kube.find(kube.pipelinePath(namespace, 'with-secret'))),
      JSON.stringify(await kube.find(deploymentPath('with-secret-processor'))),
    ].join('\n')
    expect(output).not.toMatch(/pw-number|cHctbnVtYmVy/)
    expect(output).not.toMatch(/secrets is forbidden/)
  })

  const removable = async (name: string, deletionPolicy: string) => {
    const source = { topic: name, bootstrapServers: ['kafka:9092'], strimzi: { cluster: 'main' } }
    await apply(pipelineNamed(name, { source, deletionPolicy }))
    await created(deploymentPath(`${name}-processor`))
    const { uid } = (await kube.find(kube.pipelinePath(namespace, name))).metadata
    const topic = `/apis/kafka.strimzi.io/v1/namespaces/${namespace}/kafkatopics/${namespace}.${name}`
    await created(topic)
    if (deletionPolicy === 'delete') await finalizerSet(kube, kube.pipelinePath(namespace, name))
    await kube.demand('DELETE', kube.pipelinePath(namespace, name))
    return { topic, job: removalJobPath(namespace, name, uid) }
  }
  const finalized = async (name: string) => {
    await deleted(kube.pipelinePath(namespace, name))
    await deleted(deploymentPath(`${name}-processor`))
  }

  it('does not hold up the deletion of a pipeline whose data is kept, and leaves its workloads to Kubernetes', async () => {
    const { topic, job } = await removable('retained', 'retain')
    // The API server deletes it in the same request, because it has no finalizer.
    expect(await kube.find(kube.pipelinePath(namespace, 'retained'))).toBeNull()
    const { ownerReferences } = (await kube.find(deploymentPath('retained-processor'))).metadata
    expect(ownerReferences).toMatchObject([{ kind: 'SalesPipeline', name: 'retained', blockOwnerDeletion: true }])
    expect(await kube.find(topic)).not.toBeNull()
    expect(await kube.find(job)).toBeNull()
  })

  it('deletes the stored data before it removes the finalizer, if the policy says so', async () => {
    const { topic, job } = await removable('removed', 'Delete')
    const { template } = (await created(job)).spec
    expect(template.spec.containers[0].args[0]).toBe('remove')
    // No controller runs Jobs here: the deletion waits until the test marks the Job complete.
    await ready('removed', 'Deleting')
    expect(await kube.find(topic)).not.toBeNull()
    await completeJob(kube, job)
    await finalized('removed')
    await deleted(topic)
    await deleted(job)
  })

  it('deletes no data when the policy is changed to retain during the deletion', async () => {
    const { topic, job } = await removable('changed-policy', 'delete')
    await created(job)
    const spec = { deletionPolicy: 'retain' }
    await kube.demand('PATCH', kube.pipelinePath(namespace, 'changed-policy'), { spec }, 'application/merge-patch+json')
    await finalized('changed-policy')
    await deleted(job)
    expect(await kube.find(topic)).not.toBeNull()
  })

  it('removes no data while a ReplicaSet could create another worker', async () => {
    await apply(pipelineNamed('lingering', { deletionPolicy: 'delete' }))
    const { template } = (await created(deploymentPath('lingering-processor'))).spec
    const { uid } = (await kube.find(kube.pipelinePath(namespace, 'lingering'))).metadata
    const replicaSets = `/apis/apps/v1/namespaces/${namespace}/replicasets`
    const { labels } = template.metadata
    const spec = { replicas: 1, selector: { matchLabels: labels }, template }
    await kube.demand('POST', replicaSets, { metadata: { name: 'lingering', labels }, spec })
    await kube.demand('DELETE', kube.pipelinePath(namespace, 'lingering'))
    await deleted(deploymentPath('lingering-processor'))
    await ready('lingering', 'Deleting')
    const job = removalJobPath(namespace, 'lingering', uid)
    expect(await kube.find(job)).toBeNull()
    await kube.demand('DELETE', `${replicaSets}/lingering`)
    await created(job)
    await completeJob(kube, job)
    await finalized('lingering')
  })

  // Before the next test, whose writes it would disturb.
  lastTopicTest()

  it('writes nothing while nothing changes', async () => {
    await apply(pipelineNamed('calm'))
    await ready('calm', 'WorkersStarting')
    await new Promise(resolve => setTimeout(resolve, 12_000))
    const total = 'salespipeline_operator_writes_total'
    const writes = () => operator.metric(total, `${total}{verb="PUT",resource="leases"}`)
    const before = await writes()
    const version = (await kube.find(kube.pipelinePath(namespace, 'calm'))).metadata.resourceVersion
    await new Promise(resolve => setTimeout(resolve, 15_000))
    expect((await writes()) - before).toBe(0)
    expect((await kube.find(kube.pipelinePath(namespace, 'calm'))).metadata.resourceVersion).toBe(version)
  })

  it('previews a change without making it', async () => {
    await apply(pipelineNamed('planned', { ingest: { replicas: 1 } }))
    const before = await created(deploymentPath('planned-processor'))
    const config = configFor(server, server.token)
    const plan = async (spec: object) => {
      const file = join(temporaryFolder('plan'), 'planned.yaml')
      const document = pipelineNamed('planned', spec)
      writeFileSync(file, JSON.stringify({ ...document, metadata: { name: 'planned', namespace } }))
      return planCommand(file, config)
    }
    expect(await plan({ allowedLateness: '1m' })).toEqual([
      '~ ConfigMap planned-config changes',
      '! Deployment planned-processor: its pods are replaced one by one; no results are lost',
      '- NetworkPolicy planned-ingest is deleted',
      '- Service planned-ingest is deleted',
      '- Deployment planned-ingest is deleted',
      '~ the new spec applies to sales after the current offset of each partition; rows from earlier sales are kept',
    ])
    await expect(plan({ window: { size: '5m' } })).rejects.toThrow(
      'the window of an aggregation cannot be changed; give',
    )
    expect((await created(deploymentPath('planned-processor'))).metadata.generation).toBe(before.metadata.generation)
  })

  it('rejects in a preview what would lose results, and says what to do', async () => {
    const spec = (schema: string, id: string) => ({
      sinks: { postgres: { host: 'pg', schema } },
      event: { id, time: { path: 'at' }, fields: [{ name: 'store' }] },
      deduplication: { horizon: '1h' },
    })
    const before = pipelineNamed('stored', spec('shop', 'order'))
    await apply(before)
    const plan = (after: object) => {
      const file = join(temporaryFolder('plan'), 'stored.yaml')
      const document = pipelineNamed('stored', after)
      writeFileSync(file, JSON.stringify({ ...document, metadata: { name: 'stored', namespace } }))
      return planCommand(file, configFor(server, server.token)).catch((error: Error) => error.message)
    }
    expect(await plan(spec('other', 'order')), 'no result is stored yet').toContain(
      '~ spec.sinks.postgres names another place; nothing is left behind, because no result is stored yet',
    )
    await kube.demand(
      'PATCH',
      `${kube.pipelinePath(namespace, 'stored')}/status`,
      { status: { sinksReached: ['postgres'] } },
      'application/merge-patch+json',
    )
    expect(await plan(spec('other', 'order'))).toMatch(
      /"stored" is invalid: spec\.sinks\.postgres\.schema: .*: cannot be changed: results are stored there, and would start over in another place\. To move the results, see "Move the results" in docs\/operations\.md\. To start over, create a pipeline with another name$/,
    )
    expect(await plan(spec('shop', 'sale'))).toMatch(
      /"stored" is invalid: spec\.event\.id: .*: cannot be changed while deduplication is on: the ids of earlier sales would not match those of later ones, so duplicates would be counted\. Create another pipeline$/,
    )
  })

  it('lets only itself remove a dead worker: no other account, and no other token of its own account', async () => {
    await apply(pipelineNamed('guarded'))
    const { data } = await created(`/api/v1/namespaces/${namespace}/configmaps/guarded-config`)
    const keysFile = join(temporaryFolder('removal'), REMOVAL_KEYS)
    writeFileSync(keysFile, data[REMOVAL_KEYS])
    const expelled: string[] = []
    const member = {
      describe: () => ({ member: 'w-1/abc', topicPartitions: 8 }),
      expel: async (id: string) => expelled.push(id) > 0,
    }
    const pipeline = { namespace, name: 'guarded' }
    const worker = await startMembersHttp({ port: 0, host: '127.0.0.1', keysFile, pipeline, member: () => member })
    onTestFinished(() => worker.close())
    const statusFor = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` }
      const answer = await fetch(`http://127.0.0.1:${worker.port}/members/w-2`, { method: 'DELETE', headers })
      return answer.status
    }
    const client = new KubeClient(configFor(server, await operatorToken(kube)))
    const account = { namespace: SYSTEM, name: 'salespipeline-operator' }
    const removals = new Removals({ client, clock, log: () => {}, account })
    const owner = { apiVersion: '', kind: '', uid: '', ...pipeline }
    const audience = removalAudience(pipeline, 'w-2')
    const tokenOf = async (ns: string, name: string, audiences?: string[]) => {
      const path = `/api/v1/namespaces/${ns}/serviceaccounts/${name}`
      await kube.request('POST', `/api/v1/namespaces/${ns}/serviceaccounts`, { metadata: { name } })
      return (await kube.demand('POST', `${path}/token`, { spec: { audiences, expirationSeconds: 600 } })).status.token
    }
    const refused = {
      'the account of the pipeline’s pods': await tokenOf(namespace, 'guarded-pipeline', [audience]),
      'an account of the same name': await tokenOf(namespace, 'salespipeline-operator', [audience]),
      'Prometheus, for the API server': await tokenOf(namespace, 'prometheus'),
      'the operator, for the API server': await operatorToken(kube),
      'the operator, for another member': (await removals.token(owner, 'w-3'))!,
      'the operator, for another pipeline': (await removals.token({ ...owner, name: 'other' }, 'w-2'))!,
    }
    for (const [whose, token] of Object.entries(refused))
      expect({ whose, status: await statusFor(token) }).toEqual({ whose, status: 401 })
    expect(expelled).toEqual([])
    expect(await statusFor((await removals.token(owner, 'w-2'))!)).toBe(200)
    expect(expelled).toEqual(['w-2'])
    client.close()
  })

  it('applies no setting of pods that it may not hand out, and tells a field that the API server does not know', async () => {
    const env = (name: string) => ({ env: [{ name, valueSecretRef: { name: 'prod-db', key: 'password' } }] })
    const forbidden: Record<string, object> = {
      account: { serviceAccountName: 'cluster-admin' },
      registry: { imagePullSecrets: [{ name: 'prod-db' }] },
      variable: env('ANY_KEY'),
      secret: env('SHOP_KEY'),
    }
    for (const [name, pods] of Object.entries(forbidden)) await apply(pipelineNamed(name, { pods }))
    for (const name of Object.keys(forbidden)) {
      await ready(name, 'PodSettingRefused')
      expect(await kube.find(deploymentPath(`${name}-processor`))).toBeNull()
    }
    expect((await ready('secret', 'PodSettingRefused')).message).toContain('operator.allow.envSecrets')
    await apply(pipelineNamed('misspelt', { pods: { affinity: { nodeAfinity: {} } } }))
    expect((await ready('misspelt', 'ApplyRejected')).message).toContain('nodeAfinity')
  })

  it('gives the operator no permissions that it does not need', async () => {
    const asOperator = new Kube({ ...server, token: await operatorToken(kube) })
    await kube.request('POST', `/api/v1/namespaces/${namespace}/secrets`, { metadata: { name: 'other' } })
    const forbidden: [string, string, Json?][] = [
      ['GET', `/api/v1/namespaces/${namespace}/secrets/other`],
      ['DELETE', `/api/v1/namespaces/${namespace}/secrets/other`],
      [
        'POST',
        `/api/v1/namespaces/${namespace}/pods`,
        { metadata: { name: 'x' }, spec: { containers: [{ name: 'x', image: 'x' }] } },
      ],
      ['POST', `/api/v1/namespaces/${namespace}/pods/x/exec`],
      ['DELETE', `/api/v1/namespaces/${namespace}`],
      [
        'PATCH',
        `/api/v1/namespaces/${namespace}`,
        { metadata: { annotations: { 'salespipeline.dev/topics-from': '*' } } },
      ],
      ['GET', '/api/v1/namespaces'],
      ['DELETE', kube.pipelinePath(namespace, 'calm')],
      ['POST', kube.pipelinePath(namespace), pipelineNamed('forbidden')],
      ['POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles`, { metadata: { name: 'x' } }],
      ['GET', '/api/v1/nodes'],
      ['POST', `/api/v1/namespaces/${SYSTEM}/serviceaccounts/default/token`, { spec: {} }],
      ['POST', `/api/v1/namespaces/${namespace}/serviceaccounts/salespipeline-operator/token`, { spec: {} }],
      ['PUT', `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/x`, { metadata: { name: 'x' } }],
      ['GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'],
    ]
    for (const [method, path, body] of forbidden)
      expect({ method, path, code: (await asOperator.request(method, path, body)).code }).toEqual({
        method,
        path,
        code: 403,
      })
  })
})
