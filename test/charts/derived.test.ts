/** Files of the chart that follow from something else hold what follows from it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { derivedFiles } from '../../charts/generate.ts'
import { values } from '../../charts/values.ts'

const ROOT = join(import.meta.dirname, '../..')
const files = derivedFiles()

it('there are such files', () => expect(files.size).toBeGreaterThan(5))
it.each([...files])('%s is what npm run manifests writes', (file, text) => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toBe(text)
})
it('values.yaml holds the defaults', () => {
  expect(parse(readFileSync(join(ROOT, 'charts/sales-pipeline/values.yaml'), 'utf8'))).toEqual(values.parse({}))
})
