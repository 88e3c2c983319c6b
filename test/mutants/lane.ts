/**
 * One lane of the planted faults: a copy of the tree and one warm vitest process on it, which plants one fault at a time
 * on request. Runs as a child process of run.ts in the copy's directory; a message in is a group, a message out a result.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createVitest, type Vitest } from 'vitest/node'
import { SUITES, suiteOf } from '../suites.ts'
import type { Mutant } from './engine.ts'

/** Faults that the same test file must detect. `isChecked`: its tests also run without a fault. */
export type Group = { test: string; mutants: Mutant[]; isChecked: boolean }
/** `complaint`: why the result is wrong; null when it is right. */
export type Result = { name: string; complaint: string | null; seconds: number }
export type FromLane = { type: 'result'; result: Result } | { type: 'idle' }

/** Seeds of the simulator in a run without a planted fault: enough for every kind of event to occur. */
const SEEDS_WITHOUT_FAULT = '40'

type Outcome = { green: string[]; red: string[] }

/** Runs the tests of the file whose full names match. Throws when the file itself cannot be loaded. */
async function outcomeOf(vitest: Vitest, file: string, names: string): Promise<Outcome> {
  vitest.setGlobalTestNamePattern(new RegExp(names))
  const specifications = await vitest.globTestSpecifications([file])
  const ran = await vitest.runTestSpecifications(specifications)
  // The result includes those of earlier runs.
  const testModules = ran.testModules.filter(({ moduleId }) => specifications.some(spec => spec.moduleId === moduleId))
  const tests = testModules.flatMap(module => [...module.children.allTests()])
  const named = (state: string) => tests.filter(test => test.result().state === state).map(test => test.fullName)
  const [green, red] = [named('passed'), named('failed')]
  if (green.length + red.length > 0) return { green, red }
  const errors = testModules.flatMap(module => module.errors().map(({ message }) => message))
  throw new Error(`ran no test named ${names}: ${errors.join('; ') || 'no test has that name'}`)
}

/** Resolves with a complaint, or with null when a named test turned red, as it must. */
async function plant(vitest: Vitest, { file, find, plant, test, turnsRed }: Mutant): Promise<string | null> {
  const path = join(process.cwd(), file)
  const original = readFileSync(path, 'utf8')
  const places = original.split(find).length - 1
  if (places !== 1) return `stale entry: its text occurs ${places} times in ${file}`
  const write = (text: string) => {
    writeFileSync(path, text)
    vitest.invalidateFile(path)
  }
  write(original.replace(find, () => plant))
  try {
    const { red } = await outcomeOf(vitest, test, turnsRed)
    return red.length > 0 ? null : `not detected: no test that matches "${turnsRed}" failed`
  } finally {
    write(original)
  }
}

/** Resolves with a complaint, or with null when the same tests are green without a fault. */
async function checkWithoutFault(vitest: Vitest, { test, mutants }: Group): Promise<string | null> {
  process.env.SIM_SEEDS = SEEDS_WITHOUT_FAULT
  try {
    const { red } = await outcomeOf(vitest, test, mutants.map(({ turnsRed }) => `(${turnsRed})`).join('|'))
    return red.length === 0 ? null : `failed without a fault: ${red.join(', ')}`
  } finally {
    delete process.env.SIM_SEEDS
  }
}

async function timed(name: string, work: () => Promise<string | null>): Promise<void> {
  const startedAt = performance.now()
  const complaint = await work().catch((error: Error) => error.message)
  send({ type: 'result', result: { name, complaint, seconds: (performance.now() - startedAt) / 1000 } })
}

const send = (message: FromLane) => process.send!(message)

const vitest = await createVitest('test', { watch: false, reporters: [{}], isolate: true, maxWorkers: 1 })
let working = Promise.resolve()
process.on('message', (group: Group) => {
  working = working.then(async () => {
    for (const mutant of group.mutants) await timed(mutant.name, () => plant(vitest, mutant))
    // Tests with their own servers take a minute, and their suite has just passed.
    if (group.isChecked && SUITES[suiteOf(group.test)].isDefault)
      await timed(`${group.test} without a fault`, () => checkWithoutFault(vitest, group))
    send({ type: 'idle' })
  })
})
process.once('disconnect', () => void vitest.close().finally(() => process.exit()))
send({ type: 'idle' })
