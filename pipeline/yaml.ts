/** Reads YAML within bounds, in time proportional to its length: a document may come from anywhere. */
import { type Document, isMap, isScalar, LineCounter, type ParsedNode, parseDocument, visit } from 'yaml'

/** A Kubernetes ConfigMap, from which pods read their document, holds no more. */
const MAX_BYTES = 1024 ** 2
/** Values that aliases may repeat; an alias of aliases multiplies. */
const MAX_ALIASES = 100
/** Faults in one report. Nobody reads more, and finding the line of each takes time. */
export const MAX_FAULTS = 100

/** Ancestors of a list or mapping: pairs, lists and mappings. A SalesPipeline has about ten. */
const MAX_PATH = 100
const TOO_DEEP = 'the document has too many levels of nested lists and mappings; use fewer'

/** Messages that each name one fault. */
export class YamlError extends Error {
  readonly faults: string[]
  constructor(faults: string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

export type Yaml = { document: Document.Parsed<ParsedNode>; lineOf(offset: number): number }

/** Throws YamlError. */
export function parseYaml(text: string): Yaml {
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_BYTES)
    throw new YamlError([`the document has ${bytes} bytes, more than ${MAX_BYTES}; remove what is not part of it`])
  const lines = new LineCounter()
  // The parser compares each key with all others of its map, so duplicates are found below instead.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true, uniqueKeys: false })
  if (document.errors.length > 0) throw new YamlError(document.errors.slice(0, MAX_FAULTS).map(faultOf))
  const lineOf = (offset: number) => lines.linePos(offset).line
  const faults = notTooDeep(() => faultsOf(document, lineOf))
  if (faults.length > 0) throw new YamlError(faults)
  return { document, lineOf }
}

/** The parser reports a stack overflow as a fault of the text. */
function faultOf({ message }: Error): string {
  return message.startsWith('Maximum call stack') ? TOO_DEEP : message.split('\n')[0]!
}

/** Throws YamlError for an alias without an anchor or too many aliases: `yaml` finds these only on conversion. */
export function plainValue({ document }: Yaml): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch (error) {
    throw new YamlError([(error as Error).message])
  }
}

/** Reports keys that occur twice in their mapping, and too many levels. */
function faultsOf(document: Document.Parsed, lineOf: Yaml['lineOf']): string[] {
  const faults: string[] = []
  visit(document, {
    Collection(_key, collection, path) {
      if (path.length > MAX_PATH) {
        faults.push(TOO_DEEP)
        return visit.BREAK
      }
      if (!isMap(collection)) return
      const seen = new Set<unknown>()
      for (const { key } of collection.items) {
        if (!isScalar(key)) continue
        if (seen.has(key.value) && faults.length < MAX_FAULTS)
          faults.push(`key ${JSON.stringify(key.value)} occurs twice (line ${lineOf(key.range?.[0] ?? 0)})`)
        seen.add(key.value)
      }
    },
  })
  return faults
}

/** `visit` calls itself for each level. */
function notTooDeep(work: () => string[]): string[] {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return [TOO_DEEP]
  }
}
