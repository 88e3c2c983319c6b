/** `npm run docs`: writes docs/reference.md and the tables of conditions in docs/operations.md. Tests fail on drift. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runGenerator } from '#common/generator.ts'
import { renderConditions, replaceSections } from './conditions.ts'
import { reference } from './reference.ts'

const EXAMPLES = join(import.meta.dirname, '../k8s/examples')
/** The example that the page shows first and in full. */
const FIRST = 'ecommerce.yaml'

export const REFERENCE_FILE = join(import.meta.dirname, 'reference.md')
const RUNBOOK_FILE = join(import.meta.dirname, 'operations.md')

/** Returns the YAML texts of k8s/examples, FIRST before the others. */
export function examples(): string[] {
  const others = readdirSync(EXAMPLES).filter(name => name !== FIRST)
  return [FIRST, ...others.toSorted()].map(name => readFileSync(join(EXAMPLES, name), 'utf8'))
}

export function referenceFile(): string {
  return reference(readFileSync(join(import.meta.dirname, 'reference.template.md'), 'utf8'), examples())
}

const runbookFile = () => replaceSections(readFileSync(RUNBOOK_FILE, 'utf8'), renderConditions())

if (import.meta.main)
  await runGenerator(() => [
    [REFERENCE_FILE, referenceFile()],
    [RUNBOOK_FILE, runbookFile()],
  ])
