// Starts one server in a process group of its own and ends it when whoever asked for it is gone, however it went:
// the channel to the parent closes even when the parent was killed. Started by process.ts with fork().
import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'

const { command, args, options, logFile } = JSON.parse(process.argv[2])
const log = openSync(logFile, 'a')
const server = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] })
server.once('error', error => process.send?.({ type: 'failed', message: error.message }, () => process.exit(1)))
server.once('spawn', () => process.send?.({ type: 'started', pid: server.pid }))
server.once('exit', (code, signal) => {
  if (!process.connected) process.exit(0)
  process.send({ type: 'exited', code, signal }, () => process.exit(0))
})

const signalGroup = signal => {
  try {
    process.kill(-server.pid, signal)
  } catch {} // it is gone already
}
process.once('disconnect', () => {
  signalGroup('SIGTERM')
  setTimeout(() => signalGroup('SIGKILL'), 5000)
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {}) // the parent decides
