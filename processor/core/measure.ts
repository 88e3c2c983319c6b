/** Turns a column's expression into a function over one line's amounts (contract, section 7). */
import type { CompiledColumn, CompiledField } from '#pipeline/compiled-spec.ts'
import type { Expression } from '#pipeline/expression.ts'
import type { Amount } from './exact.ts'
import { add, canonical, multiply, negate, rescale, subtract } from './exact.ts'

/** Returns the value at the column's scale. `amounts`: by field index of the compiled spec. */
export type Evaluate = (amounts: Amount[]) => Amount

type Scaled = { scale: number; evaluate: Evaluate }

/** Throws for a count column, which has nothing to evaluate. */
export function evaluatorOf(column: CompiledColumn, fields: CompiledField[]): Evaluate {
  if (column.source === 'count') throw new Error(`column ${column.name} is a count, which has no expression`)
  const { evaluate, scale } = compile(column.source.of, fields)
  if (scale === column.scale) return evaluate
  return amounts => rescale(evaluate(amounts), scale, column.scale)
}

function compile(expression: Expression, fields: CompiledField[]): Scaled {
  switch (expression.op) {
    case 'field': {
      const index = fields.findIndex(field => field.name === expression.name)
      return { scale: fields[index]!.scale, evaluate: amounts => amounts[index]! }
    }
    case 'literal': {
      const [whole, decimals = ''] = expression.text.split('.')
      const value = canonical(BigInt(`${whole}${decimals}`))
      return { scale: decimals.length, evaluate: () => value }
    }
    case 'negate': {
      const { scale, evaluate } = compile(expression.operand, fields)
      return { scale, evaluate: amounts => negate(evaluate(amounts)) }
    }
    case '*': {
      const left = compile(expression.left, fields)
      const right = compile(expression.right, fields)
      return {
        scale: left.scale + right.scale,
        evaluate: amounts => multiply(left.evaluate(amounts), right.evaluate(amounts)),
      }
    }
    default: {
      const left = compile(expression.left, fields)
      const right = compile(expression.right, fields)
      const scale = Math.max(left.scale, right.scale)
      const combine = expression.op === '+' ? add : subtract
      return {
        scale,
        evaluate: amounts =>
          combine(
            rescale(left.evaluate(amounts), left.scale, scale),
            rescale(right.evaluate(amounts), right.scale, scale),
          ),
      }
    }
  }
}
