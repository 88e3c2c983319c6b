/** Formats values and parts of documents as YAML. */
import { parseDocument, stringify } from 'yaml'

/** Returns a value on one line. kubectl reads YAML 1.1, so texts that it would read as another type, such as off, are quoted. */
export const inline = (value: unknown) =>
  stringify(value, { version: '1.1', collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trimEnd()

export const block = (value: unknown) => stringify(value, { version: '1.1', lineWidth: 0 }).trimEnd()

/** Returns the source text of `spec.<name>` with its comments; undefined if the document has none. */
export function sectionOf(text: string, name: string): string | undefined {
  const node = parseDocument(text).getIn(['spec', name], true) as { range?: [number, number, number] } | undefined
  if (!node?.range) return undefined
  const start = text.lastIndexOf(`\n  ${name}:`, node.range[0]) + 1
  return `spec:\n${text.slice(start, node.range[1]).trimEnd()}`
}
