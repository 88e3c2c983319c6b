import { describe, expect, it } from 'vitest'
import { MUTANTS } from './all.ts'
import { changedFiles, inRotation } from './rotation.ts'

const NONE = new Set<string>()

describe('the rotation of planted faults', () => {
  it('plants each fault in exactly one of three parts, and faults of one test together', () => {
    const parts = ['1', '2', '3'].map(part => inRotation(MUTANTS, part, NONE))
    expect(parts.flat().toSorted()).toHaveLength(MUTANTS.length)
    expect(new Set(parts.flat())).toEqual(new Set(MUTANTS))
    const tests = parts.flatMap(part => [...new Set(part.map(({ test }) => test))])
    expect(new Set(tests).size).toBe(tests.length)
    for (const part of parts) expect(part.length).toBeGreaterThan(MUTANTS.length / 6)
  })

  it('plants each fault whose file or test changed, whatever the part', () => {
    const [fault] = MUTANTS
    for (const part of ['1', '2', '3']) {
      expect(inRotation(MUTANTS, part, new Set([fault!.file]))).toContain(fault)
      expect(inRotation(MUTANTS, part, new Set([fault!.test]))).toContain(fault)
    }
  })

  it('plants all faults for `all`, and where the history does not show what changed', () => {
    expect(inRotation(MUTANTS, 'all', NONE)).toEqual(MUTANTS)
    expect(changedFiles('no-such-commit')).toBeNull()
    expect(inRotation(MUTANTS, '1', null)).toEqual(MUTANTS)
  })
})
