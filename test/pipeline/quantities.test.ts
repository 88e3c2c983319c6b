import { expect, it } from 'vitest'
import { checkPipeline } from '#pipeline/parse.ts'
import { parseQuantity } from '#pipeline/quantities.ts'
import { documentWith } from './documents.ts'

const limitsOf = (limits: object) =>
  checkPipeline(documentWith({ 'spec.workers': { resources: { limits } } })).spec.workers.resources.limits

it('gives numbers and text the same meaning', () =>
  expect(limitsOf({ cpu: 2, memory: 536_870_912 })).toEqual({ cpu: '2', memory: '536870912' }))

it.each([-1, 0.5, true, '5K', '1 core', '1.', '', '1e3', 'x'.repeat(40)])('refuses %j', cpu =>
  expect(() => limitsOf({ cpu })).toThrow(/limits\.cpu: must be a Kubernetes quantity such as 2, 500m or 256Mi; found/),
)

it.each([
  ['500m', 0.5],
  ['2', 2],
  ['1.5', 1.5],
  ['3k', 3000],
  ['1Ki', 1024],
  ['2M', 2_000_000],
  ['1.5Gi', 1.5 * 2 ** 30],
  ['1Ti', 2 ** 40],
])('reads %s as %d', (text, value) => expect(parseQuantity(text)).toBe(value))

it('lets a stored document with a limit below its request run', () => {
  const resources = { requests: { cpu: 2 }, limits: { cpu: 1 } }
  const document = documentWith({ 'spec.workers': { resources } })
  expect(() => checkPipeline(document)).toThrow(/less than the request/)
  expect(checkPipeline(document, 'stored', { admitted: true }).spec.workers.resources.limits?.cpu).toBe('1')
})
