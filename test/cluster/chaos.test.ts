/**
 * Tests `npm run chaos` on the whole system: every kind of pod is deleted, then the node with all stores and workers is
 * lost, and its stores move to another node by the documented out-of-service taint. Exit code 0 means that each fault took
 * effect and the system recovered, and that a verifier in its own pod found nothing lost or doubled.
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

/** Everything is scheduled on this node, which may be lost. */
const NODE = 'node-4'
const HERE = import.meta.dirname
const shop = new Shop('chaos')
const report = mkdtempSync(join(tmpdir(), 'chaos-'))

/** Resolves with its exit code and its output. */
async function chaos(...args: string[]): Promise<{ code: number | null; output: string }> {
  const about = ['--namespace', shop.namespace, '--pipeline', 'ecommerce', '--every', '10s', '--report', report]
  const child = spawn(process.execPath, [join(HERE, '../../chaos/main.ts'), ...about, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  const code = await new Promise<number | null>(done => child.once('close', done))
  console.log(output)
  return { code, output }
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
      await shop.delivers('ecommerce')
      await shop.workers('ecommerce', 3)
    }, 15 * MINUTES)

    afterAll(async () => {
      await kubectl(['uncordon', 'node-1'])
      await kubectl(['delete', 'node', NODE, '--ignore-not-found'])
      await removeWhole(shop)
      rmSync(report, { recursive: true, force: true })
    }, 5 * MINUTES)

    it(
      'leaves the results exact when pods of every kind are deleted',
      async () => {
        const { code, output } = await chaos('--faults', 'worker,kafka,postgres,elasticsearch,operator')
        expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
        const kinds = outcomes().faults.map(({ kind }: { kind: string }) => kind)
        expect(kinds.toSorted()).toEqual(['elasticsearch', 'kafka', 'operator', 'postgres', 'worker'])
        expect(outcomes().verdict).toMatchObject({ ok: true, lost: 0, doubled: 0 })
        expect(readFileSync(join(report, 'chaos.svg'), 'utf8')).toMatch(/^<svg/)
      },
      15 * MINUTES,
    )

    it(
      'leaves results and documents exact when the node with all stores and workers is lost',
      async () => {
        await kubectl(['uncordon', 'node-1'])
        const how = ['--node-with-store', '--node-command', `${NODE_TOOL} dead {node}`, '--stop-load']
        const { code, output } = await chaos('--faults', 'node', ...how)
        expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
        expect(output).toContain('node.kubernetes.io/out-of-service')
        expect(outcomes().verdict).toMatchObject({ ok: true, lost: 0, doubled: 0 })
      },
      15 * MINUTES,
    )
  }),
)
