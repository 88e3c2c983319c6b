/** The workflows in .github/workflows, as their tests and `npm run test:steps` read them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

export const ROOT = resolve(import.meta.dirname, '../..')
const WORKFLOWS = '.github/workflows'

export type Step = {
  job: string
  run: string
  env: Record<string, string>
  /** What the step needs beyond Node, Java and Maven, such as docker; empty: it runs anywhere. */
  needs: string[]
}

type Written = { run?: string; uses?: string; env?: Record<string, string> }
type Job = { steps?: Written[]; env?: Record<string, string> }

/** Paths from the root. */
export const workflowFiles = (): string[] => readdirSync(join(ROOT, WORKFLOWS)).map(name => join(WORKFLOWS, name))

/** All `run` steps of a workflow, in order; those of our own composite actions in place of the step that uses them. */
export function runSteps(file: string): Step[] {
  const { jobs } = readYaml(file) as { jobs: Record<string, Job> }
  return Object.entries(jobs).flatMap(([job, { steps = [], env: shared = {} }]) =>
    steps.flatMap(expanded).flatMap(({ run, env: own = {} }) => {
      const { NEEDS = '', ...env } = { ...shared, ...own }
      return run === undefined ? [] : [{ job, run: run.trim(), env, needs: NEEDS.split(' ').filter(Boolean) }]
    }),
  )
}

function expanded(step: Written): Written[] {
  if (!step.uses?.startsWith('./')) return [step]
  const action = readYaml(join(step.uses, 'action.yml')) as { runs: { steps: Written[] } }
  return action.runs.steps
}

const readYaml = (file: string): unknown => parse(readFileSync(join(ROOT, file), 'utf8'))
