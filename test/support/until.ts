/** Asks every `everyMs` until the answer is neither false nor null; throws after `withinMs` with what it waited for. */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  withinMs = 20_000,
  everyMs = 50,
): Promise<Exclude<T, false | null | undefined>> {
  for (const deadline = Date.now() + withinMs; ; await new Promise(resolve => setTimeout(resolve, everyMs))) {
    const answer = await ask()
    if (answer) return answer as Exclude<T, false | null | undefined>
    if (Date.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${what}`)
  }
}
