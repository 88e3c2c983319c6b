/** Reads the dashboards as Grafana does: panels, their queries, and variables replaced in text. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '../../grafana/dashboards')
export const DASHBOARDS = ['pipeline.json', 'sales.json']

export type Target = {
  refId: string
  datasource: { type: string; uid: string }
  expr?: string
  legendFormat?: string
  instant?: boolean
  range?: boolean
  format?: string
  rawSql?: string
}
export type Panel = {
  id: number
  type: string
  title: string
  description?: string
  datasource?: { type: string; uid: string }
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: Target[]
  links?: { title: string; url: string }[]
  fieldConfig?: { defaults: { unit?: string; thresholds?: { steps: { value: number | null }[] } } }
}
export type Variable = { name: string; type: string; query: string | { query: string }; regex?: string }
export type Dashboard = {
  uid: string
  title: string
  description: string
  refresh: string
  time: { from: string; to: string }
  panels: Panel[]
  templating: { list: Variable[] }
  links?: { url: string }[]
}

export const textOf = (file: string) => readFileSync(join(FOLDER, file), 'utf8')
export const dashboardOf = (file: string): Dashboard => JSON.parse(textOf(file))
/** Returns the panels without rows, which are only headings. */
export const panelsOf = (file: string) => dashboardOf(file).panels.filter(({ type }) => type !== 'row')
export const queryOf = ({ query }: Variable) => (typeof query === 'string' ? query : query.query)

/** Replaces `$name`, `${name}` and `${name:format}`. Throws when a name has no value. */
export function interpolated(text: string, values: Record<string, string>): string {
  return text.replace(/\$(\w+)|\$\{(\w+)(?::\w+)?\}/g, (whole, plain, braced) => {
    const value = values[plain ?? braced]
    if (value === undefined) throw new Error(`no value for ${whole} in ${text}`)
    return value
  })
}
