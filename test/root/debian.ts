/** Installs Debian packages whose tools are missing. */
import { execFileSync, spawnSync } from 'node:child_process'

/** `tools`: command → the package that contains it. */
export function installMissing(tools: Record<string, string>): void {
  const missing = Object.entries(tools).filter(([tool]) => spawnSync(tool, ['--version']).error)
  if (missing.length === 0) return
  // In run level 1, packages do not start their services.
  const env = { ...process.env, RUNLEVEL: '1', DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '--yes', '--no-install-recommends', ...missing.map(([, name]) => name)]
  execFileSync('apt-get', ['update'], { env, stdio: 'pipe' })
  execFileSync('apt-get', install, { env, stdio: 'pipe' })
}
