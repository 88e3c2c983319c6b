/** What goes wrong around servers. PostgreSQL stands for all of them: it is the quickest to start. */
import { spawn } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort } from '#local/services/host.ts'
import { isAlive, lockFolder } from '#local/services/lock.ts'
import { startPostgres } from '#local/services/postgres.ts'
import type { ServerProcess } from '#local/services/process.ts'
import { temporaryFolder } from '#test/support/services.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function folder(): string {
  const path = temporaryFolder('trouble')
  cleanups.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function start(dataDir: string, more = {}): Promise<ServerProcess & { port: number }> {
  const server = await startPostgres({ dataDir, ...more })
  cleanups.push(() => server.stop())
  return server
}

describe('a data folder', () => {
  it('serves one server at a time: the second start names the holder and leaves it alone', async () => {
    const dataDir = folder()
    const server = await start(dataDir)
    await expect(start(dataDir)).rejects.toThrow(/PostgreSQL cannot start: .* is in use by PostgreSQL \(process \d+\)/)
    expect(server.pid).toBeGreaterThan(0)
    await server.stop()
    expect((await start(dataDir)).port).toBe(server.port)
  })

  it('is not held by the dead', async () => {
    const dataDir = folder()
    writeFileSync(join(dataDir, 'lock'), '4194305 PostgreSQL') // above the greatest process id of Linux
    const unlock = await lockFolder(dataDir, 'test')
    await expect(lockFolder(dataDir, 'another')).rejects.toThrow(`in use by test (process ${process.pid})`)
    unlock()
    const again = await lockFolder(dataDir, 'another')
    again()
    expect(existsSync(join(dataDir, 'lock'))).toBe(false)
  })

  it('gives up its port to a program that has taken it meanwhile, unless the port was asked for', async () => {
    const dataDir = folder()
    const port = await freePort()
    const server = await start(dataDir, { port })
    expect(server.port).toBe(port)
    await server.stop()
    const other = createServer().listen(port, '127.0.0.1')
    cleanups.push(() => other.close())
    await expect(start(dataDir, { port })).rejects.toThrow(`port ${port} is taken by another program`)
    await expect(server.start()).rejects.toThrow(`port ${port} is taken by another program`)
    expect((await start(dataDir)).port).not.toBe(port)
  })
})

describe('a server', () => {
  it('that ends while starting says why', async () => {
    const failure = start(folder(), { settings: ['max_connections=many'] })
    await expect(failure).rejects.toThrow(
      /PostgreSQL ended while starting.*invalid value for parameter "max_connections"/s,
    )
  })

  it('tells of its death, and can be started again', async () => {
    const server = await start(folder())
    const { pid } = server
    process.kill(pid, 'SIGKILL')
    await server.exited
    expect(server.pid).toBe(0)
    await server.start()
    expect(server.pid).not.toBe(pid)
  })

  it.each([
    { temporary: false, what: 'leaves its data' },
    { temporary: true, what: 'leaves nothing' },
  ])('whose starter is killed ends, and $what', async ({ temporary }) => {
    const dataDir = folder()
    const { child, pid } = await startInChild(dataDir, temporary)
    expect(isAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    const last = temporary ? dataDir : join(dataDir, 'lock')
    while (isAlive(pid) || existsSync(last)) await sleep(50)
    expect(existsSync(join(dataDir, 'cluster'))).toBe(!temporary)
  })

  it('can be started again at once when its starter was killed', async () => {
    const dataDir = folder()
    const { child, pid } = await startInChild(dataDir, false)
    child.kill('SIGKILL')
    const server = await start(dataDir)
    expect(isAlive(pid)).toBe(false)
    expect(server.pid).not.toBe(pid)
  })
})

/** Starts PostgreSQL from another process, which then waits for ever. */
async function startInChild(dataDir: string, temporary: boolean) {
  const code = `
    import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, '../../local/services/postgres.ts'))}
    const server = await startPostgres(${JSON.stringify({ dataDir, temporary })})
    console.log(server.pid)
    setInterval(() => {}, 60_000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  cleanups.push(() => child.kill('SIGKILL'))
  const pid = await new Promise<number>(resolve => child.stdout.once('data', line => resolve(Number(line))))
  return { child, pid }
}
