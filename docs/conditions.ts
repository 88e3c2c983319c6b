/** Renders the tables of docs/operations.md from pipeline/conditions.ts. Pure. */
import { CONDITIONS, type ConditionInfo, codesWhere } from '#pipeline/conditions.ts'

/** A generated part of a page: `<!-- generated: marker -->`, the Markdown, `<!-- /generated -->`. */
export type Section = { marker: string; markdown: string }

type Column = [title: string, text: (info: ConditionInfo) => string]

const MEANING: Column = ['meaning', ({ meaning }) => meaning]
const ACTION: Column = ['what to do', ({ action }) => action]
const AFFECTS: Column = ['affects', ({ sink }) => (sink === 'elasticsearch' ? 'Elasticsearch' : 'all sinks')]
const SHOWN_IN: Column = ['condition', ({ types }) => types.map(type => `\`${type}\``).join(', ') || '–']

export function renderConditions(): Section[] {
  const isWorkers = ({ raisedBy }: ConditionInfo) => raisedBy === 'worker'
  return [
    section('guarantee-weakened', ({ alert }) => alert === 'SalesPipelineGuaranteeWeakened', [MEANING, ACTION]),
    section('operator', info => !isWorkers(info), [SHOWN_IN, MEANING, ACTION]),
    section('worker-blocking', info => isWorkers(info) && info.blocking, [AFFECTS, MEANING, ACTION]),
    section('worker-silent', info => isWorkers(info) && info.alert === null, [MEANING, ACTION]),
  ]
}

function section(name: string, belongs: (info: ConditionInfo) => boolean, columns: Column[]): Section {
  const row = (cells: string[]) => `| ${cells.join(' | ')} |`
  const rows = codesWhere(belongs).map(code =>
    row([`\`${code}\``, ...columns.map(([, text]) => text(CONDITIONS[code]))]),
  )
  const head = row(['reason', ...columns.map(([title]) => title)])
  return { marker: `conditions/${name}`, markdown: [head, `|${'---|'.repeat(columns.length + 1)}`, ...rows].join('\n') }
}

/** Returns the page with new sections. Throws unless it has the marker of each section exactly once. */
export function replaceSections(page: string, sections: Section[]): string {
  return sections.reduce((text, { marker, markdown }) => {
    const [before, rest, ...more] = text.split(`<!-- generated: ${marker} -->\n`)
    const end = rest?.indexOf('<!-- /generated -->') ?? -1
    if (rest === undefined || more.length > 0 || end < 0)
      throw new Error(`the page must have exactly one section <!-- generated: ${marker} -->`)
    return `${before}<!-- generated: ${marker} -->\n\n${markdown}\n\n${rest.slice(end)}`
  }, page)
}
