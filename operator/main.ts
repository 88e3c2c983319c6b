/** The operator's process: settings, signals, exit codes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { runOperator } from './operator.ts'
import type { Clock } from './ports.ts'
import { readSettings, SettingsError } from './settings.ts'
import { createLog } from './telemetry.ts'

const clock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => {}),
}

async function main(): Promise<number> {
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
    process.stderr.write(`${error instanceof SettingsError ? error.message : (error as Error).stack}\n`)
    process.exit(error instanceof SettingsError ? 2 : 1)
  },
)
