/**
 * Upgrades the first chart to this one and rolls it back while sales are processed: CRD, operator and workers change,
 * results stay exact. Then uninstalls it, which keeps what its notes name, and removes the rest by the commands of its notes.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kubectl } from '#chaos/kubectl.ts'
import { CHART, describeWithHelm, helm } from '../support/helm.ts'
import type { Json } from '../support/kube.ts'
import { temporaryFolder } from '../support/services.ts'
import { until } from '../support/until.ts'
import { OUR_POSTGRES } from './platform.ts'
import { installWhole, removeWhole } from './release.ts'
import { MINUTES, MISHAPS, Shop, VERSION } from './shop.ts'

const HERE = import.meta.dirname
const FIRST = '0.2.0'
const shop = new Shop('upgrade')
const release = ['sales', '-n', shop.namespace]

/** Waits until all workers run this version and commit. */
async function runsVersion(version: string): Promise<void> {
  const image = `salespipeline/processor:${version}`
  const isRunning = async () => {
    const pods = await shop.pods('ecommerce')
    return pods.length === 2 && pods.every(({ spec, status }) => spec.containers[0].image === image && isReady(status))
  }
  await until(`workers of ${version}`, isRunning, 3 * MINUTES)
  const before = await shop.committed('ecommerce')
  await until('sales are committed', async () => (await shop.committed('ecommerce')) > before, MINUTES)
}

const isReady = (status: Json) => status.conditions.some((c: Json) => c.type === 'Ready' && c.status === 'True')

async function columns(): Promise<string[]> {
  const crd = JSON.parse(await kubectl(['get', 'crd', 'salespipelines.salespipeline.dev', '-o', 'json']))
  return crd.spec.versions[0].additionalPrinterColumns.map(({ name }: Json) => name)
}

describeWithHelm('an installation of the first chart', () => {
  /** The user's own values, which an upgrade keeps. Helm would not roll back to topics that the release no longer has. */
  let values: string[]
  let folder: string

  beforeAll(async () => {
    folder = temporaryFolder('first-chart')
    execFileSync('tar', ['-xzf', join(HERE, `sales-pipeline-${FIRST}.tgz`), '-C', folder])
    const chart = join(folder, 'sales-pipeline')
    values = ['-f', join(chart, 'values-laptop.yaml'), ...OUR_POSTGRES]
    await installWhole(shop, [], chart)
    // The first CRD has no `insecure`, so this is also a stored document that the new CRD would refuse.
    const example = readFileSync(join(HERE, '../../k8s/examples/ecommerce.yaml'), 'utf8')
    const older = example.replaceAll(/^ *insecure: true.*\n/gm, '')
    await kubectl(['-n', shop.namespace, 'apply', '-f', '-'], older)
    await shop.patch('ecommerce', { load: { onCluster: true, rate: 500, ...MISHAPS } })
    await shop.delivers('ecommerce')
  }, 15 * MINUTES)

  afterAll(async () => {
    rmSync(folder, { recursive: true })
    await removeWhole(shop)
  }, 5 * MINUTES)

  it(
    'upgrades an installation, rolls it back and upgrades it again without a lost or doubled sale',
    async () => {
      await runsVersion(FIRST)
      expect(await columns()).not.toContain('Delay')
      helm(['upgrade', ...release, CHART, ...values])
      await runsVersion(VERSION)
      expect(await columns()).toContain('Delay')
      helm(['rollback', 'sales', '1', '-n', shop.namespace])
      await runsVersion(FIRST)
      helm(['upgrade', ...release, CHART, ...values])
      await runsVersion(VERSION)
      await shop.drain('ecommerce')
      const verdict = await shop.verdict('ecommerce')
      expect(verdict.ok).toBe(true)
      expect(verdict.rows.compared).toBeGreaterThan(0)
    },
    15 * MINUTES,
  )

  describe('after helm uninstall', () => {
    it(
      'keeps its pipelines and workers, the CRD, data and passwords',
      async () => {
        const output = helm(['uninstall', ...release])
        for (const kept of [
          '[CustomResourceDefinition]',
          '[Kafka] kafka',
          '[Elasticsearch] elasticsearch',
          '[Secret] postgres',
        ])
          expect(output).toContain(kept)
        await until('the operator is deleted', async () => (await shop.operators()).length === 0, MINUTES)
        expect(await shop.pods('ecommerce')).toHaveLength(2)
        expect((await shop.json('get', 'pvc/data-postgres-0')).status.phase).toBe('Bound')
      },
      3 * MINUTES,
    )

    it(
      'installs the chart again over what was kept, and its workers continue',
      async () => {
        helm(['install', ...release, CHART, ...values])
        await shop.patch('ecommerce', { load: { onCluster: true } })
        await runsVersion(VERSION)
      },
      5 * MINUTES,
    )

    it(
      'removes the installation completely with the commands of its notes',
      async () => {
        // The operators of Strimzi and ECK would do this once their resources are deleted.
        await shop.k('delete', 'statefulset', 'kafka-nodes', 'elasticsearch-es-default')
        const notes = helm(['get', 'notes', ...release])
        const commands = notes.slice(notes.indexOf('To delete everything')).match(/^ {2}kubectl .*$/gm)!
        expect(commands.length).toBeGreaterThan(5)
        for (const command of commands) execFileSync('sh', ['-c', withHelm(command)], { stdio: 'pipe' })
        for (const kind of [
          'kafkas',
          'kafkanodepools',
          'elasticsearches',
          'kibanas',
          'secrets',
          'configmaps',
          'deployments',
        ]) {
          const { items } = await shop.json('get', kind, '-l', 'app.kubernetes.io/managed-by=Helm')
          expect({ kind, items }).toEqual({ kind, items: [] })
        }
        await expect(shop.k('get', 'pvc/data-postgres-0')).rejects.toThrow(/not found/)
        await expect(kubectl(['get', 'crd', 'salespipelines.salespipeline.dev'])).rejects.toThrow(/not found/)
      },
      5 * MINUTES,
    )
  })
})

/** Replaces helm by the program that HELM names. */
const withHelm = (command: string) => command.replace(' helm ', ` ${process.env.HELM ?? 'helm'} `)
