import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type ChildMessage, lastLogMessage, SupervisedChild } from '#local/start/children.ts'
import type { Usage } from '#local/start/usage.ts'

const folder = mkdtempSync(join(tmpdir(), 'children-'))
const started: SupervisedChild[] = []

afterEach(() => Promise.all(started.splice(0).map(child => child.stop())))
afterAll(() => rmSync(folder, { recursive: true }))

let scripts = 0
/** Starts a supervised child that runs `code`; returns it with what its events received. */
function supervise(code: string, args: () => string[] = () => [], isFinished?: () => boolean) {
  const [script, logFile] = [join(folder, `${++scripts}.mjs`), join(folder, `${scripts}.log`)]
  writeFileSync(script, code)
  const events = { messages: [] as ChildMessage[], usage: [] as Usage[], lines: [] as string[] }
  const child = new SupervisedChild(
    { name: 'child', script, args, env: () => ({ COLOUR: 'red' }), logFile, ...(isFinished && { isFinished }) },
    {
      onMessage: message => events.messages.push(message),
      onUsage: (_pid, usage) => events.usage.push(usage),
      log: line => events.lines.push(line),
    },
  )
  started.push(child)
  child.start()
  return { child, events, log: () => readFileSync(logFile, 'utf8') }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

const OBEDIENT = `
  process.on('SIGTERM', () => process.send({ type: 'stopped', cpuSeconds: 1.5, maxRssBytes: 1000 }, () => process.exit(0)))
  setInterval(() => {}, 1000)
  process.send({ type: 'listening', port: 41000 })`

describe('a child', () => {
  it('reports a child as running after its first message, with its environment, and its output in its log', async () => {
    const { child, events, log } = supervise(
      `${OBEDIENT}; console.log(process.env.COLOUR); console.error('and', process.argv[2])`,
      () => ['more'],
    )
    expect(child.state).toBe('starting')
    await until(() => child.state === 'running' && log().includes('and more'))
    expect(log()).toContain('red')
    expect(events.messages).toEqual([{ type: 'listening', port: 41000 }])
  })

  it('stops on SIGTERM, and its reported usage is recorded', async () => {
    const { child, events } = supervise(OBEDIENT)
    await until(() => child.state === 'running')
    await child.stop()
    expect(child.state).toBe('stopped')
    expect(events.usage).toEqual([{ cpuSeconds: 1.5, peakMemoryBytes: 1000 }])
    expect(events.lines).toEqual([])
  })

  it('reports a child as done when it exits with code 0 after its work, and does not restart it', async () => {
    const { child, events } = supervise('process.exit(0)', undefined, () => true)
    await child.done
    expect(child.state).toBe('done')
    expect(events.lines).toEqual([])
    await child.stop()
  })

  it.each([
    ['must run until it is stopped', undefined],
    ['has not finished its work', () => false],
  ])('restarts after SIGTERM from someone else, although it exits with code 0, if it %s', async (_, isFinished) => {
    const { child, events, log } = supervise(`${OBEDIENT}; console.log('life')`, undefined, isFinished)
    await until(() => child.state === 'running')
    process.kill(child.pid!, 'SIGTERM')
    await until(() => child.pid === undefined)
    expect(child.state).toBe('restarting')
    expect(child.exitReason).toBe('exited with code 0, as after SIGTERM or SIGINT')
    expect(events.lines).toEqual(['child exited with code 0, as after SIGTERM or SIGINT; restarting in 1 s'])
    await until(() => child.state === 'running' && log().match(/life/g)?.length === 2)
    expect(child.restarts).toBe(1)
  })

  it('restarts when it is killed, with new arguments', async () => {
    let starts = 0
    const { child, events, log } = supervise(`${OBEDIENT}; console.log('life', process.argv[2])`, () => [
      String(++starts),
    ])
    await until(() => child.state === 'running')
    const first = child.pid!
    process.kill(first, 'SIGKILL')
    await until(
      () => child.state === 'running' && child.pid !== undefined && child.pid !== first && log().includes('life 2'),
    )
    expect(child.restarts).toBe(1)
    expect(events.lines).toEqual(['child killed by SIGKILL; restarting in 1 s'])
  })

  it('restarts after a longer pause each time it fails, and logs the last message of its log', async () => {
    const { child, events } = supervise(
      `console.log('{"level":"error","msg":"worker exiting","error":"no schema"}'); process.exit(1)`,
    )
    await until(() => events.lines.length === 2)
    expect(events.lines).toEqual([
      'child exited with code 1: worker exiting: no schema; restarting in 1 s',
      'child exited with code 1: worker exiting: no schema; restarting in 2 s',
    ])
    await child.stop()
    expect(child.state).toBe('stopped')
    await sleep(2100) // the next start would be due
    expect(child.pid).toBeUndefined()
  })

  it('runs in its own process group, so that Ctrl-C in the terminal does not reach it', async () => {
    const { child } = supervise(OBEDIENT)
    await until(() => child.state === 'running')
    expect(() => process.kill(-child.pid!, 0)).not.toThrow() // it leads a group
  })
})

describe('lastLogMessage', () => {
  const messageOf = (text: string) => {
    const file = join(folder, 'message.log')
    writeFileSync(file, text)
    return lastLogMessage(file)
  }

  it('returns the message of the last error, else the last line of a log', () => {
    expect(messageOf('{"level":"error","msg":"a","error":"b"}\n{"level":"info","msg":"bye"}\n')).toBe('a: b')
    expect(messageOf('{"level":"info","msg":"hello"}\n')).toBe('hello')
    expect(messageOf('first\nset PGUSER\n')).toBe('set PGUSER')
    expect(messageOf('')).toBe('')
  })
})
