import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type ChildMessage, lastWords, SupervisedChild } from '#local/start/children.ts'
import type { Usage } from '#local/start/usage.ts'

const folder = mkdtempSync(join(tmpdir(), 'children-'))
const started: SupervisedChild[] = []

afterEach(() => Promise.all(started.splice(0).map(child => child.stop())))
afterAll(() => rmSync(folder, { recursive: true }))

let made = 0
/** A supervised child that runs `code`, and what was heard of it. */
function supervise(code: string, args: () => string[] = () => []) {
  const [script, logFile] = [join(folder, `${++made}.mjs`), join(folder, `${made}.log`)]
  writeFileSync(script, code)
  const heard = { messages: [] as ChildMessage[], usage: [] as Usage[], told: [] as string[] }
  const child = new SupervisedChild(
    { name: 'child', script, args, env: () => ({ COLOUR: 'red' }), logFile },
    {
      onMessage: message => heard.messages.push(message),
      onUsage: (_pid, usage) => heard.usage.push(usage),
      tell: line => heard.told.push(line),
    },
  )
  started.push(child)
  child.start()
  return { child, heard, log: () => readFileSync(logFile, 'utf8') }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

const OBEDIENT = `
  process.on('SIGTERM', () => process.send({ type: 'stopped', cpuSeconds: 1.5, maxRssBytes: 1000 }, () => process.exit(0)))
  setInterval(() => {}, 1000)
  process.send({ type: 'listening', port: 41000 })`

describe('a child', () => {
  it('runs once it says so, with its environment, its output in its log', async () => {
    const { child, heard, log } = supervise(
      `${OBEDIENT}; console.log(process.env.COLOUR); console.error('and', process.argv[2])`,
      () => ['more'],
    )
    expect(child.state).toBe('starting')
    await until(() => child.state === 'running' && log().includes('and more'))
    expect(log()).toContain('red')
    expect(heard.messages).toEqual([{ type: 'listening', port: 41000 }])
  })

  it('is asked to stop, and its last message is booked', async () => {
    const { child, heard } = supervise(OBEDIENT)
    await until(() => child.state === 'running')
    await child.stop()
    expect(child.state).toBe('stopped')
    expect(heard.usage).toEqual([{ cpuSeconds: 1.5, peakMemoryBytes: 1000 }])
    expect(heard.told).toEqual([])
  })

  it('is done when it ends by itself with code 0, and is left alone then', async () => {
    const { child, heard } = supervise('process.exit(0)')
    await child.done
    expect(child.state).toBe('done')
    expect(heard.told).toEqual([])
    await child.stop()
  })

  it('starts again when it is killed, with arguments asked anew', async () => {
    let asked = 0
    const { child, heard, log } = supervise(`${OBEDIENT}; console.log('life', process.argv[2])`, () => [
      String(++asked),
    ])
    await until(() => child.state === 'running')
    const first = child.pid!
    process.kill(first, 'SIGKILL')
    await until(
      () => child.state === 'running' && child.pid !== undefined && child.pid !== first && log().includes('life 2'),
    )
    expect(child.restarts).toBe(1)
    expect(heard.told).toEqual(['child was ended by SIGKILL; starting again in 1 s'])
  })

  it('waits longer each time it fails, and says what its log said last', async () => {
    const { child, heard } = supervise(
      `console.log('{"level":"error","msg":"worker exiting","error":"no schema"}'); process.exit(1)`,
    )
    await until(() => heard.told.length === 2)
    expect(heard.told).toEqual([
      'child ended with code 1: worker exiting: no schema; starting again in 1 s',
      'child ended with code 1: worker exiting: no schema; starting again in 2 s',
    ])
    await child.stop()
    expect(child.state).toBe('stopped')
    await sleep(2100) // the next start would be due
    expect(child.pid).toBeUndefined()
  })

  it('runs in a process group of its own: a Ctrl-C in the terminal does not reach it', async () => {
    const { child } = supervise(OBEDIENT)
    await until(() => child.state === 'running')
    expect(() => process.kill(-child.pid!, 0)).not.toThrow() // it leads a group
  })
})

describe('the last words of a log', () => {
  const said = (text: string) => {
    const file = join(folder, 'words.log')
    writeFileSync(file, text)
    return lastWords(file)
  }

  it('are the last error, else the last line', () => {
    expect(said('{"level":"error","msg":"a","error":"b"}\n{"level":"info","msg":"bye"}\n')).toBe('a: b')
    expect(said('{"level":"info","msg":"hello"}\n')).toBe('hello')
    expect(said('first\nset PGUSER\n')).toBe('set PGUSER')
    expect(said('')).toBe('')
  })
})
