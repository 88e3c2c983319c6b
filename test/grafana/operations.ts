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

/** Returns the SQL statements in a psql command. */
export const statementsIn = (command: string) =>
  command.includes('psql') ? [...command.matchAll(/ -c (?:'([^']*)'|"([^"]*)")/g)].map(([, a, b]) => (a ?? b)!) : []

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
