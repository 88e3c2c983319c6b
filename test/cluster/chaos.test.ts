/**
 * `npm run chaos` on the whole system: every kind of pod is deleted, then the node that holds all stores and workers is
 * lost, and its stores come back on another by the documented out-of-service taint. Exit code 0 says that each fault bit
 * and was recovered from, and that a verifier in a pod of its own found nothing lost or doubled.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { kubectl } from '#chaos/kubectl.ts'
import { describeWithHelm } from '../support/helm.ts'
import { describeWithNodeTool, NODE_TOOL } from './nodes.ts'
import { installWhole, removeWhole } from './release.ts'
import { MINUTES, MISHAPS, Shop } from './shop.ts'

/** All of it lands on one that may be lost, and nothing else. */
const NODE = 'node-4'
const HERE = import.meta.dirname
const shop = new Shop('chaos')
const report = mkdtempSync(join(tmpdir(), 'chaos-'))

/** Answers its exit code and all that it said. */
async function chaos(...args: string[]): Promise<{ code: number | null; said: string }> {
  const about = ['--namespace', shop.namespace, '--pipeline', 'ecommerce', '--every', '10s', '--report', report]
  const child = spawn(process.execPath, [join(HERE, '../../chaos/main.ts'), ...about, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (said += data))
  const code = await new Promise<number | null>(done => child.once('close', done))
  console.log(said)
  return { code, said }
}

const outcomes = () => JSON.parse(readFileSync(join(report, 'chaos.json'), 'utf8'))

describeWithNodeTool('chaos', () =>
  describeWithHelm('with helm', () => {
    beforeAll(async () => {
      await kubectl(['cordon', 'node-1'])
      await kubectl(['uncordon', NODE])
      await installWhole(shop)
      await shop.k('apply', '-f', join(HERE, '../../k8s/examples/ecommerce.yaml'))
      await shop.patch('ecommerce', { load: { onCluster: true, rate: 500, ...MISHAPS }, workers: { replicas: 3 } })
      await shop.ready('ecommerce')
      await shop.workers('ecommerce', 3)
    }, 15 * MINUTES)

    afterAll(async () => {
      await kubectl(['uncordon', 'node-1'])
      await kubectl(['delete', 'node', NODE, '--ignore-not-found'])
      await removeWhole(shop)
      rmSync(report, { recursive: true, force: true })
    }, 5 * MINUTES)

    it(
      'among pods of every kind leaves the results exact',
      async () => {
        const { code, said } = await chaos('--faults', 'worker,kafka,postgres,elasticsearch,operator')
        expect({ code, said: code === 0 ? '' : said }).toEqual({ code: 0, said: '' })
        const kinds = outcomes().faults.map(({ kind }: { kind: string }) => kind)
        expect(kinds.toSorted()).toEqual(['elasticsearch', 'kafka', 'operator', 'postgres', 'worker'])
        expect(outcomes().verdict).toMatchObject({ ok: true, lost: 0, doubled: 0 })
        expect(readFileSync(join(report, 'chaos.svg'), 'utf8')).toMatch(/^<svg/)
      },
      15 * MINUTES,
    )

    it(
      'that takes the node with all stores and workers leaves the results exact, documents too',
      async () => {
        await kubectl(['uncordon', 'node-1'])
        const how = ['--node-with-store', '--node-command', `${NODE_TOOL} dead {node}`, '--stop-load']
        const { code, said } = await chaos('--faults', 'node', ...how)
        expect({ code, said: code === 0 ? '' : said }).toEqual({ code: 0, said: '' })
        expect(said).toContain('node.kubernetes.io/out-of-service')
        expect(outcomes().verdict).toMatchObject({ ok: true, lost: 0, doubled: 0 })
      },
      15 * MINUTES,
    )
  }),
)
