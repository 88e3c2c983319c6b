import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { KubeObject } from '#operator/kube/resources.ts'
import { PackedObjects } from '#operator/runtime/packed.ts'
import { check } from '../support/properties.ts'

const object = (name: string, groups: string[], version: number): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, resourceVersion: String(version) },
  groups,
})

const change = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  groups: fc.option(fc.uniqueArray(fc.constantFrom('x', 'y', 'z'))),
})

it('holds after any changes what a plain map holds, by key and by group', () => {
  check(
    fc.property(fc.array(change), changes => {
      const packed = new PackedObjects(({ groups }) => groups as string[])
      const plain = new Map<string, KubeObject>()
      for (const [version, { name, groups }] of changes.entries()) {
        if (groups === null) {
          packed.delete(name)
          plain.delete(name)
        } else {
          packed.set(name, object(name, groups, version))
          plain.delete(name) // a changed object comes last
          plain.set(name, object(name, groups, version))
        }
      }
      expect([...packed.keys()]).toEqual([...plain.keys()])
      expect(packed.size).toBe(plain.size)
      for (const name of ['a', 'b', 'c']) {
        expect(packed.get(name)).toEqual(plain.get(name))
        expect(packed.version(name)).toBe(plain.get(name)?.metadata.resourceVersion)
      }
      for (const group of ['x', 'y', 'z'])
        expect([...packed.of(group)]).toEqual(
          [...plain.values()].filter(({ groups }) => (groups as string[]).includes(group)),
        )
    }),
  )
})

it('returns copies: a caller that changes one does not change the cache', () => {
  const packed = new PackedObjects()
  packed.set('a', object('a', [], 1))
  packed.get('a')!.metadata.name = 'changed'
  expect(packed.get('a')!.metadata.name).toBe('a')
})
