/** What servers need from the machine: an unprivileged user, free ports, Java. */
import { spawnSync } from 'node:child_process'
import { realpathSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'

export type User = { uid: number; gid: number }

/**
 * Returns the user for servers that refuse to run as root; undefined when we are not root. Throws an Error that names the
 * folder if that user cannot enter one of `paths`.
 */
export function unprivilegedUser(paths: string[]): User | undefined {
  if (userInfo().uid !== 0) return undefined
  for (const path of paths) {
    const closed = closedFolder(realpathSync(path))
    if (closed)
      throw new Error(
        `PostgreSQL and Elasticsearch refuse to run as root, so they run as user nobody, which cannot enter ${closed}. Run as another user, move the project to a folder that every user can enter, or run: chmod o+x ${closed}`,
      )
  }
  return { uid: 65_534, gid: 65_534 } // nobody, nogroup
}

/** Returns the first folder on the path to `path`, or `path` itself, that other users cannot enter. */
function closedFolder(path: string): string | undefined {
  const above = path === dirname(path) ? undefined : closedFolder(dirname(path))
  return above ?? ((statSync(path).mode & 0o001) === 0 ? path : undefined)
}

const PORTS = { first: 20_000, count: 10_000 }
/** How far a port's guard is below the port. Guards and ports must not overlap. */
const GUARD_DISTANCE = 10_000
const reserved = new Set<number>()

/**
 * Returns a free port on loopback and reserves it until this process exits: no other process of ours gets it, although
 * the server that is to use it listens seconds later. The ports are below the range for outgoing connections. A client
 * that retries while its server is down could otherwise get the server's port as its own, and the server could not
 * restart.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count)
    if (!reserved.has(port) && (await reservePort(port))) return port
  }
}

const isOurs = (port: number) => port >= PORTS.first && port < PORTS.first + PORTS.count

/**
 * Resolves with true if the port is free and now reserved for this process. The reservation is a second port on which
 * this process listens, because the operating system ends it together with the process, however that dies. A port that
 * `freePort` cannot return needs no reservation.
 */
export async function reservePort(port: number): Promise<boolean> {
  if (reserved.has(port) || !isOurs(port)) return isFree(port)
  const guard = await listen(port - GUARD_DISTANCE)
  if (guard === null) return false
  if (await isFree(port)) {
    reserved.add(port)
    guard.unref()
    return true
  }
  guard.close()
  return false
}

/** Resolves with true if no program listens on the port on loopback. */
export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port)
  if (server === null) return false
  await new Promise(resolve => server.close(resolve))
  return true
}

/** Resolves with a server that listens on the port on loopback, or null if another one does. */
function listen(port: number): Promise<Server | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

/** Returns the Java installation, for programs that look for it themselves. Throws an Error if there is none. */
export function javaHome(): string {
  if (process.env.JAVA_HOME) return process.env.JAVA_HOME
  const { stderr } = spawnSync('java', ['-XshowSettings:properties', '-version'], { encoding: 'utf8' })
  const home = /java\.home = (.+)/.exec(stderr)?.[1]
  if (!home) throw new Error('cannot find the Java installation: set JAVA_HOME')
  return home
}
