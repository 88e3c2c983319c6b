/** Tests the CRD without an API server. test/api-server/crd.test.ts tests what the API server makes of it. */
import { expect, it } from 'vitest'
import { customResourceDefinition } from '#operator/crd/definition.ts'
import type { Structural } from '#operator/crd/structural.ts'

const { names, versions } = customResourceDefinition().spec
const schema = versions[0]!.schema.openAPIV3Schema

function fieldsOf(node: Structural, at = ''): [path: string, field: Structural][] {
  const own = Object.entries(node.properties ?? {}).flatMap(([name, child]): [string, Structural][] => [
    [`${at}.${name}`, child],
    ...fieldsOf(child, `${at}.${name}`),
  ])
  return [...own, ...(node.items ? fieldsOf(node.items, `${at}[]`) : [])]
}

it('describes every field, so that kubectl explain teaches', () => {
  const fields = fieldsOf(schema)
  expect(fields.length).toBeGreaterThan(270)
  // The API server describes metadata itself and allows no description there.
  const silent = fields.filter(([path, { description }]) => path !== '.metadata' && !description)
  expect(silent.map(([path]) => path)).toEqual([])
})

it('declares a short name that no other well-known resource uses, beside the former one', () =>
  expect(names.shortNames).toEqual(['spl', 'sp']))

it('declares no default that would be the pod itself', () =>
  expect(fieldsOf(schema).filter(([, field]) => JSON.stringify(field.default ?? '').includes('localhost'))).toEqual([]))

it('leaves it to the rules of each field to refuse a text that is too long', () => {
  type Ruled = { rule: string }[] | undefined
  const bounded = fieldsOf(schema).filter(
    ([, { type, maxLength, enum: words }]) => type === 'string' && maxLength && !words,
  )
  expect(bounded.length).toBeGreaterThan(60)
  for (const [path, field] of bounded) {
    const [first] = (field['x-kubernetes-validations'] as Ruled) ?? []
    const limit = Number(/^size\(self\) <= (\d+)/.exec(first?.rule ?? '')?.[1])
    expect({ path, hasRoom: limit < (field.maxLength as number) }).toEqual({ path, hasRoom: true })
  }
})
