// Prerequisites of the servers on this machine. Plain JavaScript without dependencies: local/bootstrap.mjs runs it before any
// package is installed.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** @typedef {{ name: string, howToInstall: string }} Prerequisite */

/** @returns {string} java from JAVA_HOME, or else from the PATH */
export const javaCommand = (env = process.env) => (env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java')

/** @returns {Prerequisite[]} what is missing on this machine: Java runs Kafka and Elasticsearch, Maven installs them. */
export function missingForServers(env = process.env) {
  const version = /version "(\d+)/.exec(spawnSync(javaCommand(env), ['-version'], { encoding: 'utf8' }).stderr)?.[1]
  const missing = []
  if (!(Number(version) >= 17))
    missing.push({
      name: env.JAVA_HOME ? 'Java 17 or newer in JAVA_HOME' : 'Java 17 or newer',
      howToInstall:
        'apt-get install default-jre-headless, or brew install openjdk and export JAVA_HOME="$(brew --prefix openjdk)"',
    })
  // Without Java, mvn starts but fails. Maven is missing only if mvn cannot be started.
  if (spawnSync('mvn', ['-version']).error)
    missing.push({ name: 'Maven', howToInstall: 'apt-get install maven, or brew install maven' })
  return missing
}

/** @param {Prerequisite[]} missing @returns {string} one message for all of them */
export const describeMissing = missing =>
  `Missing prerequisites:\n${missing.map(({ name, howToInstall }) => `  ${name}: ${howToInstall}`).join('\n')}`
