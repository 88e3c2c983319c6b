/** The alert rules as data, and faults to plant in them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const ROOT = join(import.meta.dirname, '../..')
export const RULES_FILE = join(ROOT, 'grafana/alerts.yaml')
export const RULE_TESTS_FILE = join(import.meta.dirname, 'alerts.test.yaml')

export type Rule = {
  alert?: string
  record?: string
  expr: string
  for?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}
export type RuleFile = { groups: { name: string; rules: Rule[] }[] }
type RuleTest = { name: string; promql_expr_test: object[] }
export type RuleTests = { rule_files: string[]; evaluation_interval: string; tests: RuleTest[] }

export const readRules = (): RuleFile => parse(readFileSync(RULES_FILE, 'utf8'))
export const readRuleTests = (): RuleTests => parse(readFileSync(RULE_TESTS_FILE, 'utf8'), { merge: true })

export const allRules = () => readRules().groups.flatMap(({ rules }) => rules)
export const alerts = () => allRules().filter(rule => rule.alert !== undefined) as (Rule & { alert: string })[]

export type Mutant = { alert: string; fault: string; rule: Rule }

const COMPARISON = /(==|>|<) (\d+(?:\.\d+)?)(?![\d.])/g

/** Returns faults of every alert: no waiting time, and each threshold, label matcher and clause wrong or missing. */
export function mutants(): Mutant[] {
  return alerts().flatMap(rule => {
    const { alert, expr } = rule
    const planted = (fault: string, change: Partial<Rule>) => ({ alert, fault, rule: { ...rule, ...change } })
    const { for: _, ...immediate } = rule
    return [
      ...(rule.for ? [{ alert, fault: 'does not wait', rule: immediate }] : []),
      ...[...expr.matchAll(COMPARISON)].flatMap(found => [
        planted(`"${found[0]}" never holds`, { expr: replaced(expr, found, `== 1234567`) }),
        planted(`"${found[0]}" is inverted`, { expr: replaced(expr, found, inverted(found[1]!, found[2]!)) }),
      ]),
      ...[...expr.matchAll(/(!~|=~|!=|(?<![=!<>])=(?![=~]))(?=")/g)].map(found =>
        planted(`a label matcher ${found[0]} is inverted`, { expr: replaced(expr, found, OPPOSITE[found[0]]!) }),
      ),
      ...clausesOf(expr).map(clause =>
        planted(`is missing "${clause.split('\n')[0]}"`, { expr: expr.replace(clause, '') }),
      ),
    ]
  })
}

const OPPOSITE: Record<string, string> = { '!~': '=~', '=~': '!~', '!=': '=', '=': '!=' }
const inverted = (operator: string, value: string) =>
  `${operator === '==' ? '!=' : operator === '>' ? '<=' : '>='} ${value}`
const replaced = (text: string, found: RegExpMatchArray, by: string) =>
  text.slice(0, found.index) + by + text.slice(found.index! + found[0].length)

/** Returns the clauses that begin with and, or, unless, each up to its closing parenthesis. */
function clausesOf(expr: string): string[] {
  const lines = expr.split('\n')
  return lines.flatMap((line, start) => {
    if (!/^\s*(and|or|unless)\b/.test(line)) return []
    let end = start
    const open = () => balance(lines.slice(start, end + 1).join('\n'))
    while (
      (open() > 0 || /^\s*(and|or|unless)[^(]*$/.test(lines.slice(start, end + 1).join(' '))) &&
      end < lines.length - 1
    )
      end++
    return open() === 0 ? [lines.slice(start, end + 1).join('\n')] : []
  })
}

const balance = (text: string) => text.split('(').length - text.split(')').length
