import { globSync } from 'node:fs'
import { defineConfig, type TestProjectConfiguration } from 'vitest/config'
import { ROOT, SUITES, suiteNames, suiteOf } from './test/suites.ts'
import { SlowFirst } from './test/support/slow-first.ts'

// Servers of tests live for minutes: quick compilation halves the CPU time that Kafka and Elasticsearch take to start.
process.env.JDK_JAVA_OPTIONS ??= '-XX:TieredStopAtLevel=1'

const files = Map.groupBy(globSync('test/**/*.test.ts', { cwd: ROOT }), suiteOf)

export default defineConfig({
  test: {
    reporters: ['default', './test/support/closing-line.ts'],
    sequence: { sequencer: SlowFirst },
    // More than the two cores that we plan for, because tests of real servers mostly wait: three left a fifth of the time idle.
    maxWorkers: 4,
    // Only a guard against tests that hang: on a busy machine, a test takes many times as long as alone.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    // The shared servers stop then, up to three of them on a busy machine.
    teardownTimeout: 60_000,
    projects: suiteNames.map(
      (name): TestProjectConfiguration => ({
        extends: true,
        test: {
          name,
          include: files.get(name) ?? [],
          setupFiles: name === 'unit' ? ['test/support/forget-secrets.ts'] : [],
          globalSetup: SUITES[name].startsServers ? ['test/support/global-setup.ts'] : [],
          // Unit tests share a process per worker: a new one for each file costs more than most of them take.
          isolate: name !== 'unit',
        },
      }),
    ),
  },
})
