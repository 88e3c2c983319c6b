/** Debian's tools, installed where they are missing. */
import { execFileSync, spawnSync } from 'node:child_process'

/** `tools`: commands → the packages that bring them. */
export function installed(tools: Record<string, string>): void {
  const missing = Object.entries(tools).filter(([tool]) => spawnSync(tool, ['--version']).error)
  if (missing.length === 0) return
  // A package's service is not started in run level 1.
  const env = { ...process.env, RUNLEVEL: '1', DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '--yes', '--no-install-recommends', ...missing.map(([, name]) => name)]
  execFileSync('apt-get', ['update'], { env, stdio: 'pipe' })
  execFileSync('apt-get', install, { env, stdio: 'pipe' })
}
