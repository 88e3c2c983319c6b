/** The tables of k8s/platform/README.md. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const PLATFORM = resolve(import.meta.dirname, '../../k8s/platform')
export const README = readFileSync(join(PLATFORM, 'README.md'), 'utf8')

/** The README's table of operators, by name. */
export const operators = new Map(
  rowsOf('| name | operator |').map(([name, operator, chart, serves, namespace]) => {
    const [chartName, version] = chart!.split(' ')
    const versions = { operator: /\d+\.\d+\.\d+/.exec(operator!)![0], chart: version! }
    return [
      bare(name!),
      { chart: chartName!, versions, serves: serves!.split(', ').map(bare), namespace: bare(namespace!) },
    ]
  }),
)

/** The cells of the table whose first line is `head`. */
export function rowsOf(head: string): string[][] {
  const [, ...lines] = README.slice(README.indexOf(head)).split('\n\n')[0]!.split('\n').slice(1)
  return lines.map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
}

function bare(cell: string): string {
  return cell.replaceAll('`', '')
}
