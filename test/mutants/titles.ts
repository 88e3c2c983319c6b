/** A title: a string that is the first argument of it, test or describe, or of the function that it.each(table) returns. */
const TITLE = /(?:\b(?:it|test|describe)\b[.\w]*|\))\(\s*(['"`])((?:(?!\1)[^\\]|\\.)*)\1/g
const PLACEHOLDER = /%[a-z#$%]|\$\{[^}]*\}|\$\w[\w.]*/i
/** Shorter words, as "is" and "of", are in many titles. */
const MIN_PART_LENGTH = 4

/** Returns the literal titles of suites and tests in a source text. */
export const titlesIn = (text: string): string[] => [...text.matchAll(TITLE)].map(([, , title]) => title!)

/**
 * Returns whether a title in these source texts may match `turnsRed`. This is decided statically, so it is an approximation:
 * titles are examined one by one, not joined to full names. A title with placeholders counts when one of its fixed
 * parts is in `turnsRed`, whatever fills the placeholders, or when the texts hold all of `turnsRed`, as in a table.
 */
export function mayName(turnsRed: string, texts: string[]): boolean {
  const pattern = new RegExp(turnsRed)
  const isInTexts = texts.some(text => pattern.test(text))
  return texts.flatMap(titlesIn).some(title => {
    if (pattern.test(title)) return true
    return PLACEHOLDER.test(title) && (isInTexts || fixedParts(title).some(part => turnsRed.includes(part)))
  })
}

function fixedParts(title: string): string[] {
  return title
    .split(PLACEHOLDER)
    .map(part => part.trim())
    .filter(part => part.length >= MIN_PART_LENGTH)
}
