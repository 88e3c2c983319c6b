/** Faults of a document that has passed the schema. */

export type Fault = { path: (string | number)[]; message: string }

export function duplicateNames(
  names: string[],
  at: (i: number) => Fault['path'],
  remedy = 'remove or rename one of them',
): Fault[] {
  return names.flatMap((name, i) =>
    names.indexOf(name) < i ? [{ path: at(i), message: `"${name}" occurs twice; ${remedy}` }] : [],
  )
}
