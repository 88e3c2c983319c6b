/** The last lines of a run: what it did, and the commands that continue it. Pure. */
import type { Options } from './options.ts'
import { count } from './text.ts'

export type Totals = {
  /** Path of the data folder. */
  folder: string
  /** Sales sent in this run; null without a load generator. */
  sent: number | null
  /** Records committed in all runs; null if unknown. */
  committed: number | null
}

type Mode = Pick<Options, 'typedFile' | 'external'>

/** Proposes only commands that this mode accepts. */
export function farewell(mode: Mode, { folder, sent, committed }: Totals): string[] {
  const sentText = sent === null ? '' : `${count(sent)} sales sent in this run. `
  const total = committed === null ? '' : `${count(committed)} records committed in all runs. `
  const kept = mode.external
    ? `The results stay on the servers that the file names; logs and journal are kept in ${folder}.`
    : `Data is kept in ${folder}.`
  return [
    `Stopped. ${sentText}${total}${kept}`,
    `  continue:    ${command(mode)}`,
    `  verify:      ${command(mode, '--no-load', '--for', '1s')}`,
    ...(mode.external ? [] : [`  start over:  ${command(mode, '--fresh')}`]),
  ]
}

/** Says which runs the verdict of a bounded run covers. */
export function coverage({ external }: Pick<Options, 'external'>): string {
  const since = external ? 'everything in the topic and in the tables' : 'all runs since the last --fresh'
  return `Counts and rows cover ${since}. The delay covers this run only.`
}

/** npm passes only the arguments after `--` on to the script. */
function command({ typedFile, external }: Mode, ...flags: string[]): string {
  const args = [...(typedFile ? [quoted(typedFile)] : []), ...(external ? ['--external'] : []), ...flags]
  return ['npm start', ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
}

/** Quotes for a shell where needed. */
function quoted(file: string): string {
  return /^[\w./:@%+=,~-]+$/.test(file) ? file : `'${file.replaceAll("'", `'\\''`)}'`
}
