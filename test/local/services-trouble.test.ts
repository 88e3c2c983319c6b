/** Failures of servers, tested with PostgreSQL because it starts fastest. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { freePort } from '#local/services/host.ts'
import { isAlive, lockFolder } from '#local/services/lock.ts'
import { startPostgres } from '#local/services/postgres.ts'
import { type ServerProcess, stablePort } from '#local/services/process.ts'
import { temporaryFolder } from '#test/support/services.ts'

const ROOT = join(import.meta.dirname, '../..')
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
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
  it('locks a data folder for one server: a second start names the holder and does not disturb it', async () => {
    const dataDir = folder()
    const server = await start(dataDir)
    await expect(start(dataDir)).rejects.toThrow(/PostgreSQL cannot start: .* is locked by PostgreSQL \(pid \d+\)/)
    expect(server.pid).toBeGreaterThan(0)
    await server.stop()
    expect((await start(dataDir)).port).toBe(server.port)
  })

  it('ignores the lock of a data folder whose process has died', async () => {
    const dataDir = folder()
    writeFileSync(join(dataDir, 'lock'), '4194305 PostgreSQL') // above the greatest process id of Linux
    const unlock = await lockFolder(dataDir, 'test')
    await expect(lockFolder(dataDir, 'another')).rejects.toThrow(`is locked by test (pid ${process.pid})`)
    unlock()
    const unlockAnother = await lockFolder(dataDir, 'another')
    unlockAnother()
    expect(existsSync(join(dataDir, 'lock'))).toBe(false)
  })

  it('gets a new port when another program uses its last one, unless a port was requested', async () => {
    const dataDir = folder()
    const port = await freePort()
    const server = await start(dataDir, { port })
    expect(server.port).toBe(port)
    await server.stop()
    const other = createServer().listen(port, '127.0.0.1')
    cleanups.push(() => other.close())
    await expect(start(dataDir, { port })).rejects.toThrow(`port ${port} is in use by another program`)
    await expect(server.start()).rejects.toThrow(`port ${port} is in use by another program`)
    expect((await start(dataDir)).port).not.toBe(port)
  })
})

describe('a port', () => {
  it('reserves a port for the process that got it, from the moment it is chosen until that process ends', async () => {
    const { child, port } = await portOfAnotherProcess()
    const dataDir = folder()
    writeFileSync(join(dataDir, 'test.port'), String(port))
    const random = vi.spyOn(Math, 'random').mockReturnValueOnce((port - 20_000 + 0.5) / 10_000)
    expect(await freePort()).not.toBe(port)
    expect(random.mock.calls.length).toBeGreaterThan(1) // the first value chose the port of the other process
    expect(await stablePort(dataDir, 'test', undefined)).not.toBe(port)

    child.kill('SIGKILL')
    await once(child, 'exit')
    writeFileSync(join(dataDir, 'test.port'), String(port))
    expect(await stablePort(dataDir, 'test', undefined)).toBe(port)
    random.mockReturnValueOnce((port - 20_000 + 0.5) / 10_000)
    expect(await freePort()).not.toBe(port) // one process gets it only once
  })

  it('uses the port of a folder again when it is outside the range of free ports', async () => {
    const dataDir = folder()
    writeFileSync(join(dataDir, 'test.port'), '9')
    expect(await stablePort(dataDir, 'test', undefined)).toBe(9)
  })
})

async function portOfAnotherProcess(): Promise<{ child: ChildProcess; port: number }> {
  const source = `import { freePort } from '#local/services/host.ts'
    process.stdout.write(String(await freePort()))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', source], { cwd: ROOT })
  cleanups.push(() => child.kill('SIGKILL'))
  const [port] = await once(child.stdout, 'data')
  return { child, port: Number(port) }
}

describe('a server', () => {
  it('shows the last log lines when it exits while starting', async () => {
    const failure = start(folder(), { settings: ['max_connections=many'] })
    await expect(failure).rejects.toThrow(
      /PostgreSQL exited while starting.*invalid value for parameter "max_connections"/s,
    )
  })

  it('resolves `exited` when it is killed, and can be restarted', async () => {
    const server = await start(folder())
    const { pid } = server
    process.kill(pid, 'SIGKILL')
    await server.exited
    expect(server.pid).toBe(0)
    await server.start()
    expect(server.pid).not.toBe(pid)
  })

  it.each([
    { temporary: false, what: 'keeps its data' },
    { temporary: true, what: 'deletes its data' },
  ])('stops when the process that started it is killed, and $what', async ({ temporary }) => {
    const dataDir = folder()
    const { child, pid } = await startInChild(dataDir, temporary)
    expect(isAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    const last = temporary ? dataDir : join(dataDir, 'lock')
    while (isAlive(pid) || existsSync(last)) await sleep(50)
    expect(existsSync(join(dataDir, 'cluster'))).toBe(!temporary)
  })

  it('restarts a server at once after the process that started it was killed', async () => {
    const dataDir = folder()
    const { child, pid } = await startInChild(dataDir, false)
    child.kill('SIGKILL')
    const server = await start(dataDir)
    expect(isAlive(pid)).toBe(false)
    expect(server.pid).not.toBe(pid)
  })
})

/** Starts PostgreSQL from another process, which then waits forever. */
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
