/**
 * Output for people. Texts can quote data, such as keys, field values and messages of servers. Control characters in it
 * could move the cursor, hide lines or change the terminal, so every text is written by this file's functions.
 */

/** C0 and C1 controls and DEL; characters that reverse the direction of text; separators of lines and paragraphs. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

const SHORT: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }

/** Returns the text as one line, with JSON's escapes instead of control characters. */
export function printable(text: string): string {
  return text.replaceAll(
    CONTROLS,
    control => SHORT[control] ?? `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Like `printable`, but keeps the ends of lines. JSON stays valid, with the same content. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** Writes a text of one or more lines, and the end of the last line. */
export function writeLines(stream: { write(text: string): unknown }, text: string): void {
  stream.write(`${printableLines(text)}\n`)
}
