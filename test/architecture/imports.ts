/** Reads who imports whom from source text. */
import { posix } from 'node:path'

/** Source texts by their path from the root. */
export type Sources = Map<string, string>

/** `target`: a path from the root for one of our modules, else the name of a package or node: module. */
export type Import = { file: string; target: string; isOurs: boolean }

/**
 * Static forms begin a line, as the formatter writes them; they may span lines. Clauses hold no quotes outside braces,
 * so a match cannot run on into the statements that follow.
 */
const FORMS = [
  /^(?:import|export)\b(?:[\w$*,\s]|\{[^}]*\})*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^import\s*['"]([^'"]+)['"]/gm,
  /\bimport\(\s*['"`]([^'"`$]+)['"`]/g,
]

/** Imports of all forms: types, re-exports and dynamic ones too. A dynamic import of a computed name is not seen. */
export function importsOf(sources: Sources): Import[] {
  return [...sources].flatMap(([file, text]) =>
    FORMS.flatMap(form => [...text.matchAll(form)]).map(([, name]) => resolved(file, name!)),
  )
}

function resolved(file: string, name: string): Import {
  if (name.startsWith('#')) return { file, target: posix.normalize(name.slice(1)), isOurs: true }
  if (name.startsWith('.')) return { file, target: posix.join(posix.dirname(file), name), isOurs: true }
  return { file, target: name, isOurs: false }
}
