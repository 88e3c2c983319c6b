/** Enums that Kubernetes writes with a capital letter. Releases up to 0.3.0 accepted only small letters; both are the same. */
import { z } from 'zod'

/** Returns a field with one of these words, whose first letter may be a capital. Output: the word in small letters. */
export function spelled<const Word extends string>(words: readonly [Word, ...Word[]]) {
  const capitals = words.map(word => (word[0]!.toUpperCase() + word.slice(1)) as Capitalize<Word>)
  return z.enum([...capitals, ...words])
}

/** Returns the word in the spelling that our programs compare with. */
export const plainSpelling = <Word extends string>(word: Word) => word.toLowerCase() as Lowercase<Word>

/** Returns whether a spec as it is stored says that the data of a deleted pipeline is deleted. */
export function deletesData(document: object): boolean {
  const { deletionPolicy } = document as { deletionPolicy?: unknown }
  return typeof deletionPolicy === 'string' && plainSpelling(deletionPolicy) === 'delete'
}
