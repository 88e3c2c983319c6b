/** What the machine gives to servers: an unprivileged user, free ports, Java. */
import { spawnSync } from 'node:child_process'
import { realpathSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'

export type User = { uid: number; gid: number }

/**
 * The user for servers that refuse root; undefined when we are not root. Throws an Error that names the folder when
 * that user may not enter one of `paths`.
 */
export function unprivilegedUser(paths: string[]): User | undefined {
  if (userInfo().uid !== 0) return undefined
  for (const path of paths) {
    const closed = closedFolder(realpathSync(path))
    if (closed)
      throw new Error(
        `PostgreSQL and Elasticsearch refuse to run as root, so they run as user nobody, who may not enter ${closed}. Run as another user, move the project to a folder that everyone may enter, or: chmod o+x ${closed}`,
      )
  }
  return { uid: 65_534, gid: 65_534 } // nobody, nogroup
}

/** The outermost folder on the way to `path`, itself included, that others may not enter. */
function closedFolder(path: string): string | undefined {
  const above = path === dirname(path) ? undefined : closedFolder(dirname(path))
  return above ?? ((statSync(path).mode & 0o001) === 0 ? path : undefined)
}

/**
 * A port that is free now on loopback, below those that systems give to outgoing connections: a client that retries
 * while its server is down could get the server's port as its own, and the server could not come back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await isFree(port)) return port
  }
}

/** Whether nobody listens on the port of loopback. */
export function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** JAVA_HOME's java, else the one on the path. */
export function javaCommand(): string {
  return process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
}

/** For programs that look for Java themselves. */
export function javaHome(): string {
  if (process.env.JAVA_HOME) return process.env.JAVA_HOME
  const { stderr } = spawnSync('java', ['-XshowSettings:properties', '-version'], { encoding: 'utf8' })
  const home = /java\.home = (.+)/.exec(stderr)?.[1]
  if (!home) throw new Error('cannot tell where Java is installed; set JAVA_HOME')
  return home
}
