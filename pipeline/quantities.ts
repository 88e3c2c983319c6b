/** Amounts of CPU and memory in the notation of Kubernetes: numbers or text, as in every resource of Kubernetes. */
import { z } from 'zod'

const QUANTITY = /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/
const MAX_LENGTH = 20
const MESSAGE = 'must be a Kubernetes quantity such as 2, 500m or 256Mi'

const MULTIPLES: Record<string, number> = {
  '': 1,
  m: 1e-3,
  ...Object.fromEntries(['k', 'M', 'G', 'T'].map((suffix, i) => [suffix, 1000 ** (i + 1)])),
  ...Object.fromEntries(['Ki', 'Mi', 'Gi', 'Ti'].map((suffix, i) => [suffix, 1024 ** (i + 1)])),
}

const RULE = `type(self) == int ? self >= 0 && self <= ${Number.MAX_SAFE_INTEGER} : type(self) == string && size(self) <= ${MAX_LENGTH} && self.matches(r'${QUANTITY.source}')`

/** A field of a document. Output: text. */
export const quantity = () =>
  z
    .union(
      [z.string().max(MAX_LENGTH, { error: MESSAGE, abort: true }).regex(QUANTITY, MESSAGE), z.int().min(0, MESSAGE)],
      { error: MESSAGE },
    )
    .meta({ rules: [{ rule: RULE, message: MESSAGE }], label: 'quantity', intOrString: true })
    .transform(value => String(value))

/** `text` must be a quantity. */
export function parseQuantity(text: string): number {
  const [, amount, suffix] = /^([\d.]+)(\w*)$/.exec(text)!
  return Number(amount) * MULTIPLES[suffix!]!
}
