/** Checks the events of a request: each against its schema, then what only its original text shows. */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { type Body, parseEvent, type SentEvent } from './body.ts'
import { forAjv, type JsonSchema, lineSchema, schemaWithoutLines } from './event-schema.ts'
import { exactFaultFinder, type Fault, idText } from './exact-checks.ts'
import { digitsNeeded, type Exact, valueAt } from './exact-json.ts'
import { type SchemaError, schemaFault } from './schema-faults.ts'

/** Returns true, or false and sets `errors`. */
export type Validate = { (value: unknown): boolean; errors?: unknown[] | null }
export type Sale = { key: string | null; bytes: Buffer }
/** `index`: index of the event in its array; absent for a single event. */
type RequestFault = Fault & { index?: number }
export type Checks = {
  /** Whether an event has numbers of which the checks need the original digits. */
  digitsNeeded(plain: unknown): boolean
  /** Yields the faults one by one, so that the caller can stop after any of them. `now`: ms since the epoch. */
  faultsOf(event: SentEvent, now: number): Iterable<Fault>
}

/** Maximum number of faults in a response. */
export const MAX_FAULTS = 100

/**
 * Returns the sales of a request, and the first MAX_FAULTS faults in them. It parses and checks one event after the
 * other and keeps only its key and bytes. Throws Refusal with status 400.
 */
export function checkSales({ events, isBatch }: Body, compiled: CompiledSpec, checks: Checks) {
  const now = Date.now()
  const sales: Sale[] = []
  const faults: RequestFault[] = []
  let index = -1
  for (const bytes of events) {
    const event = parseEvent(bytes, isBatch ? ++index : null, checks.digitsNeeded)
    for (const fault of checks.faultsOf(event, now)) {
      faults.push(isBatch ? { index, ...fault } : fault)
      if (faults.length === MAX_FAULTS) return { sales, faults }
    }
    if (faults.length === 0) sales.push({ key: idText(compiled, event.exact), bytes })
  }
  return { sales, faults }
}

/** Returns the checks of an event. Each of its lines may have faults: the schema checks one line at a time. */
export function checksOf(compiled: CompiledSpec, compile: (schema: JsonSchema) => Validate): Checks {
  const { explode } = compiled.spec.event
  const validate = compile(forAjv(schemaWithoutLines(compiled.spec)))
  const exactFaults = exactFaultFinder(compiled)
  const validateLine = explode && compile(forAjv(lineSchema(explode)))
  function* withLines(own: Fault[], { plain, exact }: SentEvent, now: number): Generator<Fault> {
    yield* own
    let isValid = own.length === 0
    for (const fault of lineFaults(validateLine!, plain, explode!.path)) {
      isValid = false
      yield fault
    }
    if (isValid) yield* exactFaults(exact, now)
  }
  return {
    digitsNeeded: digitsNeeded(compiled),
    faultsOf(event, now) {
      const own = faultsBy(validate, event.plain, '')
      if (validateLine) return withLines(own, event, now)
      return own.length > 0 ? own : exactFaults(event.exact, now)
    },
  }
}

function* lineFaults(validate: Validate, event: unknown, path: string): Generator<Fault> {
  const lines = valueAt(event as Exact, path.split('.'))
  if (!Array.isArray(lines)) return
  for (const [i, line] of lines.entries()) yield* faultsBy(validate, line, `${path}[${i}]`)
}

function faultsBy(validate: Validate, value: unknown, path: string): Fault[] {
  return validate(value) ? [] : (validate.errors as SchemaError[]).map(error => schemaFault(error, path))
}
