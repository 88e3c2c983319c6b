/** `npm run docs:conditions`: writes the tables of docs/operations.md that follow from pipeline/conditions.ts. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderConditions, replaceSections } from './conditions.ts'

const PAGE = join(import.meta.dirname, 'operations.md')

writeFileSync(PAGE, replaceSections(readFileSync(PAGE, 'utf8'), renderConditions()))
