/** The operator's process: settings, signals, exit codes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { SpecError } from '#pipeline/parse.ts'
import { KubeError } from './kube/client.ts'
import { runOperator } from './operator.ts'
import { planCommand } from './plan-command.ts'
import type { Clock } from './ports.ts'
import { readSettings, SettingsError } from './settings.ts'
import { createLog } from './telemetry.ts'

const clock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => {}),
}

async function main(): Promise<number> {
  const [command, file] = process.argv.slice(2)
  if (command === 'plan' && file !== undefined) {
    process.stdout.write(`${(await planCommand(file)).join('\n')}\n`)
    return 0
  }
  const settings = readSettings(process.argv.slice(2), process.env)
  const log = createLog(settings.logLevel, settings.identity)
  const config = new KubeConfig()
  config.loadFromDefault()
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort())
  const world = { clock, chance: { next: Math.random }, log }
  const ended = await runOperator(config, settings, world, stopping.signal, port => log('info', 'listening', { port }))
  log('info', ended === 'stopped' ? 'stopped' : 'the lease is lost: starting anew')
  return ended === 'stopped' ? 0 : 1
}

main().then(
  code => process.exit(code),
  error => {
    const expected = [SettingsError, SpecError, KubeError].some(kind => error instanceof kind)
    process.stderr.write(`${expected ? error.message : error.stack}\n`)
    process.exit(error instanceof SettingsError ? 2 : 1)
  },
)
