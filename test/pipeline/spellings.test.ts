import { expect, it } from 'vitest'
import { specIdentity } from '#pipeline/identity.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { deletesData } from '#pipeline/spellings.ts'
import { adviceOnKubernetes, START_OVER } from '#pipeline/start-over.ts'
import { documentWith } from './documents.ts'

const specOf = (deletionPolicy: string, mode: string) =>
  checkPipeline(documentWith({ 'spec.deletionPolicy': deletionPolicy, 'spec.workers': { autoscale: { mode } } })).spec

it.each([
  ['Retain', 'Off', 'retain', 'off'],
  ['Delete', 'Observe', 'delete', 'observe'],
  ['Delete', 'Active', 'delete', 'active'],
])('gives %s and %s the meaning of %s and %s', (policy, mode, formerPolicy, formerMode) => {
  const [spec, former] = [specOf(policy, mode), specOf(formerPolicy, formerMode)]
  expect(spec).toEqual(former)
  expect(specIdentity(spec)).toBe(specIdentity(former))
  expect(deletesData({ deletionPolicy: policy })).toBe(formerPolicy === 'delete')
  expect(deletesData({ deletionPolicy: formerPolicy })).toBe(formerPolicy === 'delete')
})

it('refuses other spellings and keeps those of other enums', () => {
  expect(() => specOf('DELETE', 'off')).toThrow(/deletionPolicy: must be one of: Retain, Delete, retain, delete/)
  expect(() => checkPipeline(documentWith({ 'spec.window': { type: 'Tumbling' } }))).toThrow(/window\.type/)
})

it('retains the data of a document that does not say otherwise', () => {
  expect([{}, { deletionPolicy: null }, { deletionPolicy: 1 }].map(deletesData)).toEqual([false, false, false])
})

it('proposes no option of npm start on Kubernetes', () => {
  const message = adviceOnKubernetes(`by_store has changed. Give it a new name, or ${START_OVER}`)
  expect(message).toMatch(
    /^by_store has changed\. Give it a new name, or start over: see "Start over with an empty schema"/,
  )
  expect(message).not.toMatch(/--fresh|npm start|node processor/)
})
