// What real servers need of this machine. Plain JavaScript without dependencies: local/bootstrap.mjs runs it before any
// package is installed.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** @typedef {{ name: string, howToInstall: string }} Prerequisite */

/** @returns {Prerequisite[]} what Kafka and Elasticsearch need and this machine lacks: Java to run, Maven to install them. */
export function missingForServers(env = process.env) {
  const java = env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java'
  const version = /version "(\d+)/.exec(spawnSync(java, ['-version'], { encoding: 'utf8' }).stderr)?.[1]
  const missing = []
  if (!(Number(version) >= 17))
    missing.push({
      name: env.JAVA_HOME ? 'Java 17 or newer in JAVA_HOME' : 'Java 17 or newer',
      howToInstall:
        'apt-get install default-jre-headless, or brew install openjdk and export JAVA_HOME="$(brew --prefix openjdk)"',
    })
  // Maven fails where Java is missing, but then it is still installed: only its absence counts.
  if (spawnSync('mvn', ['-version']).error)
    missing.push({ name: 'Maven', howToInstall: 'apt-get install maven, or brew install maven' })
  return missing
}

/** @param {Prerequisite[]} missing @returns {string} one message for all of them */
export const describeMissing = missing =>
  `Missing prerequisites:\n${missing.map(({ name, howToInstall }) => `  ${name}: ${howToInstall}`).join('\n')}`
