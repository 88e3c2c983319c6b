/** From YAML text to a checked, defaulted, frozen pipeline; or to every fault of the file at once. */
import { type Document, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { crossFieldFaults, type Fault } from './checks.ts'
import { document, type SalesPipeline } from './schema.ts'
import { UserError } from './user-error.ts'

/** All faults of one file. `message` has a line for each: path, what is wrong, what is allowed. */
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

/** Parses one YAML (or JSON) document. Throws SpecError with all faults. `file` is only named in messages. */
export function parsePipeline(text: string, file = 'the document'): SalesPipeline {
  const lines = new LineCounter()
  const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: true, uniqueKeys: true })
  if (yaml.errors.length > 0)
    throw new SpecError(
      file,
      yaml.errors.map(e => e.message.split('\n')[0]!),
    )
  const where = (path: Fault['path']) => {
    for (let keep = path.length; keep > 0; keep--) {
      const node = yaml.getIn(path.slice(0, keep), true) as { range?: [number, number, number] } | undefined
      if (node?.range) return ` (line ${lines.linePos(node.range[0]).line})`
    }
    return ''
  }
  return checkPipeline(plainValue(yaml, file), file, where)
}

/** An alias without its anchor, or a bomb of aliases, shows only when the document becomes a value. */
function plainValue(yaml: Document, file: string): unknown {
  try {
    return yaml.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw new SpecError(file, [(error as Error).message])
  }
}

/** The same for a document that is already an object, such as a custom resource. */
export function checkPipeline(
  value: unknown,
  file = 'the document',
  where: (path: Fault['path']) => string = () => '',
): SalesPipeline {
  const result = document.safeParse(value, { reportInput: true })
  const faults = result.success ? spanning(result.data) : allFaults(value, result.error.issues)
  if (faults.length > 0 || !result.success)
    throw new SpecError(
      file,
      faults.map(f => `${formatPath(f.path)}${where(f.path)}: ${f.message}`),
    )
  return deepFreeze(result.data)
}

function spanning({ spec }: SalesPipeline): Fault[] {
  return crossFieldFaults(spec).map(({ path, message }) => ({ path: ['spec', ...path], message }))
}

/** Those of single fields and, as far as the document makes sense without these fields, those that span several. */
function allFaults(value: unknown, issues: z.core.$ZodIssue[]): Fault[] {
  const faults = issues.flatMap(faultsOf)
  const rest = document.safeParse(without(value, faults))
  if (!rest.success) return faults
  const isNew = ({ path }: Fault) => !faults.some(fault => path.join('.').startsWith(fault.path.join('.')))
  return [...faults, ...spanning(rest.data).filter(isNew)]
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
  if (issue.code === 'invalid_type' && issue.input === undefined && issue.message.startsWith('Invalid input'))
    return [{ path, message: `is needed (${issue.expected})` }]
  if (issue.code === 'invalid_value') return [{ path, message: `must be one of: ${issue.values.join(', ')}` }]
  return [
    {
      path,
      message: issue.message
        .replace(/^Invalid input: expected/, 'must be')
        .replace(/^Too (?:small|big): expected \w+ to (be|have)/, 'must $1'),
    },
  ]
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
