/** Parses YAML into a checked, frozen pipeline with all defaults, or reports every fault of the file at once. */
import type { z } from 'zod'
import { admissionFaults } from './admission.ts'
import { crossFieldFaults } from './checks.ts'
import type { Fault } from './faults.ts'
import { document, type SalesPipeline, type Spec } from './schema.ts'
import { UserError } from './user-error.ts'
import { MAX_FAULTS, parseYaml, plainValue, YamlError } from './yaml.ts'

/** All faults of one file. `message` has a line for each: path, what is wrong, how to fix it. */
export class SpecError extends UserError {
  readonly faults: string[]
  constructor(file: string, faults: string[]) {
    super(
      `${file} is not a valid SalesPipeline (${faults.length} fault${faults.length === 1 ? '' : 's'}):\n${faults.map(f => `  ${f}`).join('\n')}`,
    )
    this.name = 'SpecError'
    this.faults = faults
  }
}

/** `admitted`: the API server has admitted the document, so the checks of admission.ts are its decision. */
export type ParseOptions = { admitted?: boolean }

/** Parses one YAML (or JSON) document. Throws SpecError with all faults. `file` only appears in messages. */
export function parsePipeline(text: string, file = 'the document', options: ParseOptions = {}): SalesPipeline {
  try {
    return parsed(text, file, options)
  } catch (error) {
    throw error instanceof YamlError ? new SpecError(file, error.faults) : error
  }
}

function parsed(text: string, file: string, options: ParseOptions): SalesPipeline {
  const yaml = parseYaml(text)
  const where = (path: Fault['path']) => {
    for (let depth = path.length; depth > 0; depth--) {
      const node = yaml.document.getIn(path.slice(0, depth), true) as { range?: [number, number, number] } | undefined
      if (node?.range) return ` (line ${yaml.lineOf(node.range[0])})`
    }
    return ''
  }
  return checked(plainValue(yaml), file, where, options)
}

/** Checks a document that is already an object, such as a custom resource. Throws SpecError with all faults. */
export function checkPipeline(value: unknown, file = 'the document', options: ParseOptions = {}): SalesPipeline {
  return checked(value, file, () => '', options)
}

function checked(
  value: unknown,
  file: string,
  where: (path: Fault['path']) => string,
  { admitted = false }: ParseOptions,
): SalesPipeline {
  const check = (spec: Spec) => [...crossFieldFaults(spec), ...(admitted ? [] : admissionFaults(spec))]
  const result = document.safeParse(value, { reportInput: true })
  const faults = result.success ? spanningFaults(result.data, check) : allFaults(value, result.error.issues, check)
  if (faults.length > 0 || !result.success)
    throw new SpecError(file, [
      ...faults.slice(0, MAX_FAULTS).map(f => `${formatPath(f.path)}${where(f.path)}: ${f.message}`),
      ...(faults.length > MAX_FAULTS ? [`and ${faults.length - MAX_FAULTS} more; correct these first`] : []),
    ])
  return deepFreeze(result.data)
}

type Check = (spec: Spec) => Fault[]

function spanningFaults({ spec }: SalesPipeline, check: Check): Fault[] {
  return check(spec).map(({ path, message }) => ({ path: ['spec', ...path], message }))
}

/** Returns the faults of single fields and, if the document is valid without these fields, the faults that span several. */
function allFaults(value: unknown, issues: z.core.$ZodIssue[], check: Check): Fault[] {
  const faults = issues.flatMap(faultsOf)
  const rest = document.safeParse(without(value, faults))
  if (!rest.success) return faults
  const known = faults.slice(0, MAX_FAULTS).map(({ path }) => path.join('.'))
  const isNew = ({ path }: Fault) => !known.some(fault => path.join('.').startsWith(fault))
  return [...faults, ...spanningFaults(rest.data, check).filter(isNew)]
}

function without(value: unknown, faults: Fault[]): unknown {
  const copy = structuredClone(value)
  for (const { path } of faults) {
    const holder = path.slice(0, -1).reduce<unknown>((part, name) => (part as Record<string, unknown>)?.[name], copy)
    if (typeof holder === 'object' && holder !== null) delete (holder as Record<string, unknown>)[path.at(-1)!]
  }
  return copy
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path as Fault['path']
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(key => ({ path: [...path, key], message: issue.message }))
  const rule = ruleOf(issue)
  const isMissing = issue.input === undefined && rule.startsWith('must ')
  return [{ path, message: isMissing ? `is required and ${rule}` : `${rule}; found ${foundText(issue.input)}` }]
}

const TYPES: Record<string, string> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'a mapping',
  record: 'a mapping',
  string: 'a string',
}

/** Returns the sentence that our schema gives, or zod's own in our words. */
function ruleOf(issue: z.core.$ZodIssue): string {
  const { message } = issue
  if (issue.code === 'invalid_value' && message.startsWith('Invalid'))
    return `must be one of: ${issue.values.join(', ')}`
  if (issue.code === 'invalid_type' && message.startsWith('Invalid'))
    return `must be ${TYPES[issue.expected] ?? issue.expected}`
  return message
    .replace(/^Too (?:small|big): expected \w+ to (be|have)/, 'must $1')
    .replace('>=', 'at least ')
    .replace('<=', 'at most ')
}

const MAX_FOUND_LENGTH = 60

/** Returns a value as a message shows it. Mappings and lists are not spelled out: they may be large or cyclic. */
function foundText(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length} items`
  if (typeof value === 'object' && value !== null) return 'a mapping'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > MAX_FOUND_LENGTH ? `${text.slice(0, MAX_FOUND_LENGTH)}…` : text
}

/** ['spec', 'aggregations', 0, 'name'] → "spec.aggregations[0].name" */
function formatPath(path: Fault['path']): string {
  return (
    path.reduce<string>(
      (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
      '',
    ) || 'document'
  )
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
