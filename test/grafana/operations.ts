/** Reads the runbook for its tests. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const OPERATIONS = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8')

/** Returns heading → text up to the next heading. Comments in blocks of commands are not headings. */
export function sectionsOf(markdown: string): Map<string, string> {
  const sections = new Map<string, string>()
  let heading = ''
  let isCode = false
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) isCode = !isCode
    const [, title] = (!isCode && /^#+ (.*)$/.exec(line)) || []
    if (title !== undefined) sections.set((heading = title), '')
    else sections.set(heading, `${sections.get(heading) ?? ''}${line}\n`)
  }
  return sections
}

/** Returns each command of the blocks on one line, without its comment. */
export function commandsIn(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) =>
    block!
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .map(line => line.replace(/\s+# .*$/, '').trim())
      .filter(line => line !== ''),
  )
}

/** A variable as the shell expands it: `$NAME`, `${NAME}` or `${NAME:?}`. Group 1 is the name. */
export const VARIABLE = /\$\{?([A-Z_]+)(?:\}|:\?\})?/g

/**
 * Returns the SQL statements in a psql command. Like the shell, it expands variables only between double quotes; those
 * without a value stay as they are.
 */
export function statementsIn(command: string, values: Record<string, string> = {}): string[] {
  if (!command.includes('psql')) return []
  const expand = (text: string) => text.replaceAll(VARIABLE, (variable, name) => values[name] ?? variable)
  return [...command.matchAll(/ -c (?:'([^']*)'|"([^"]*)")/g)].map(([, a, b]) => a ?? expand(b!))
}

const ROOT = join(import.meta.dirname, '../..')
const FOLDERS = ['processor', 'operator']

/** Returns the source text of all programs that raise conditions. */
export function sourceText(): string {
  const files = FOLDERS.flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(name => `${folder}/${name}`),
  )
  const sources = files.filter(name => name.endsWith('.ts'))
  return sources.map(file => readFileSync(join(ROOT, file), 'utf8')).join('\n')
}
