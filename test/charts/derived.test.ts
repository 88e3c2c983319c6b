/** Tests that the derived files of the chart are up to date. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { derivedFiles } from '../../charts/generate.ts'
import { values } from '../../charts/values.ts'

const ROOT = join(import.meta.dirname, '../..')
const files = derivedFiles()

it('finds derived files', () => expect(files.size).toBeGreaterThan(5))
it.each([...files])('finds %s as npm run manifests writes it', (file, text) => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toBe(text)
})
it('finds the defaults of the schema in values.yaml', () => {
  expect(parse(readFileSync(join(ROOT, 'charts/sales-pipeline/values.yaml'), 'utf8'))).toEqual(values.parse({}))
})
