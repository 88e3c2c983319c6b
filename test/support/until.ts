/** Calls `ask` every `everyMs` and resolves with its first truthy result. Rejects after `withinMs`; `what` is in the error. */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  withinMs = 20_000,
  everyMs = 50,
): Promise<Exclude<T, false | null | undefined>> {
  for (const deadline = Date.now() + withinMs; ; await new Promise(resolve => setTimeout(resolve, everyMs))) {
    const result = await ask()
    if (result) return result as Exclude<T, false | null | undefined>
    if (Date.now() > deadline) throw new Error(`timed out after ${withinMs / 1000} s: ${what}`)
  }
}
