/** The alert rules as promtool sees them; and that their tests notice when one is wrong. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  alerts,
  type Mutant,
  mutants,
  RULE_TESTS_FILE,
  RULES_FILE,
  type Rule,
  readRules,
  readRuleTests,
} from '../grafana/rules.ts'
import { ownFolder } from '../support/folder.ts'
import { promtool } from '../support/prometheus.ts'

describe('the alert rules', () => {
  it('are right by promtool', () => {
    const { ok, text } = promtool('check', 'rules', '--lint-fatal', RULES_FILE)
    expect({ ok, text }).toEqual({ ok: true, text: expect.stringMatching(/SUCCESS: \d+ rules found/) })
  })

  it('fire when they should, and are quiet when they should be', () => {
    expect(promtool('test', 'rules', RULE_TESTS_FILE)).toEqual({ ok: true, text: expect.stringContaining('SUCCESS') })
  }, 300_000)

  it.each(alerts().map(({ alert }) => alert))(
    '%s: every fault that is planted turns its tests red',
    alert => {
      const planted = mutants().filter(mutant => mutant.alert === alert)
      expect(planted.length).toBeGreaterThan(1)
      expect(ofOne(alert, null).ok).toBe(true)
      const survivors = planted.filter(mutant => ofOne(alert, mutant).ok)
      expect(survivors.map(({ fault, rule }) => ({ fault, expr: rule.expr }))).toEqual([])
    },
    600_000,
  )
})

/** Runs the tests whose names name the alert, on the rules that they speak of, with the fault, if any. */
function ofOne(alert: string, mutant: Mutant | null) {
  const folder = ownFolder('rules')
  const all = readRuleTests()
  const tests = all.tests.filter(({ name }) => name.includes(alert.slice('SalesPipeline'.length)))
  expect(tests.length).toBeGreaterThan(0)
  const spoken = JSON.stringify(tests)
  const isConcerned = (rule: Rule) => !rule.alert || rule.alert === alert || spoken.includes(rule.alert)
  const groups = readRules().groups.map(({ name, rules }) => ({
    name,
    rules: rules.filter(isConcerned).map(rule => (rule.alert === alert && mutant ? mutant.rule : rule)),
  }))
  writeFileSync(join(folder, 'rules.yaml'), JSON.stringify({ groups }))
  writeFileSync(join(folder, 'tests.yaml'), JSON.stringify({ ...all, rule_files: ['rules.yaml'], tests }))
  // A rule that cannot be read proves nothing.
  const read = promtool('check', 'rules', join(folder, 'rules.yaml'))
  expect(read, mutant?.fault).toMatchObject({ ok: true })
  return promtool('test', 'rules', join(folder, 'tests.yaml'))
}
