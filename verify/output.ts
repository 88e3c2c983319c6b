/** Output for people: keys, values and messages of servers can contain characters that control a terminal. */
import { inspect } from 'node:util'

/** Categories control (C0, C1, DEL), and those that reverse the direction of text or separate lines. */
const UNSAFE = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u

/** Returns the text as one line; unsafe characters become `\uXXXX`, as in JSON. */
export function safeLine(text: string): string {
  const safe = (character: string) =>
    UNSAFE.test(character) ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : character
  return Array.from(text, safe).join('')
}

/** Prints lines to standard output. */
export function print(text: string): void {
  process.stdout.write(`${safeLines(text)}\n`)
}

/** Prints lines to standard error; an error with its stack. */
export function complain(text: string, error?: unknown): void {
  process.stderr.write(`${safeLines(error === undefined ? text : `${text} ${inspect(error)}`)}\n`)
}

function safeLines(text: string): string {
  return text.split('\n').map(safeLine).join('\n')
}
