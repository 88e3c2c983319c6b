/** Checks the alert rules with promtool, and that their tests detect a faulty rule. */
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
  it('passes the check of promtool on every alert rule', async () => {
    const { ok, text } = await promtool('check', 'rules', '--lint-fatal', RULES_FILE)
    expect({ ok, text }).toEqual({ ok: true, text: expect.stringMatching(/SUCCESS: \d+ rules found/) })
  })

  it('fires each alert when it should, and only then', async () => {
    const run = await promtool('test', 'rules', RULE_TESTS_FILE)
    expect(run).toEqual({ ok: true, text: expect.stringContaining('SUCCESS') })
  }, 300_000)

  it.each(alerts().map(({ alert }) => alert))(
    'detects every fault planted in %s',
    async alert => {
      const planted = mutants().filter(mutant => mutant.alert === alert)
      expect(planted.length).toBeGreaterThan(1)
      expect((await testAlert(alert, null)).ok).toBe(true)
      const survivors = []
      for (const mutant of planted)
        if ((await testAlert(alert, mutant)).ok) survivors.push({ fault: mutant.fault, expr: mutant.rule.expr })
      expect(survivors).toEqual([])
    },
    600_000,
  )
})

/** Runs the tests whose names contain the alert, on the rules that they mention, with the fault, if any. */
async function testAlert(alert: string, mutant: Mutant | null) {
  const folder = ownFolder('rules')
  const all = readRuleTests()
  const tests = all.tests.filter(({ name }) => name.includes(alert.slice('SalesPipeline'.length)))
  expect(tests.length).toBeGreaterThan(0)
  const testsText = JSON.stringify(tests)
  const isRelevant = (rule: Rule) => !rule.alert || rule.alert === alert || testsText.includes(rule.alert)
  const groups = readRules().groups.map(({ name, rules }) => ({
    name,
    rules: rules.filter(isRelevant).map(rule => (rule.alert === alert && mutant ? mutant.rule : rule)),
  }))
  writeFileSync(join(folder, 'rules.yaml'), JSON.stringify({ groups }))
  writeFileSync(join(folder, 'tests.yaml'), JSON.stringify({ ...all, rule_files: ['rules.yaml'], tests }))
  // An invalid rule would prove nothing.
  const read = await promtool('check', 'rules', join(folder, 'rules.yaml'))
  expect(read, mutant?.fault).toMatchObject({ ok: true })
  return promtool('test', 'rules', join(folder, 'tests.yaml'))
}
