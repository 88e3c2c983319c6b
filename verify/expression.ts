/** Measure expressions: fields and constants under `+ - *` and parentheses, computed exactly. */
import Big from 'big.js'

export type Expression =
  | { kind: 'constant'; value: Big }
  | { kind: 'field'; name: string }
  | { kind: '+' | '-' | '*'; left: Expression; right: Expression }

const TOKEN = /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_][A-Za-z0-9_]*)|([-+*()]))/y

function tokens(path: string, text: string): string[] {
  const found: string[] = []
  TOKEN.lastIndex = 0
  const trimmed = text.trim()
  while (TOKEN.lastIndex < trimmed.length) {
    const match = TOKEN.exec(trimmed)
    if (!match) throw invalid(path, text)
    found.push(match[0].trim())
  }
  return found
}

const invalid = (path: string, text: string) =>
  new Error(`${path}: invalid expression "${text}"; use fields, numbers, + - * ( )`)

/** Parses an expression by recursive descent. Throws an Error that names `path` when the text is not a valid expression. */
export function parseExpression(path: string, text: string): Expression {
  const rest = tokens(path, text)

  function sum(): Expression {
    let left = product()
    while (rest[0] === '+' || rest[0] === '-') left = { kind: rest.shift() as '+' | '-', left, right: product() }
    return left
  }

  function product(): Expression {
    let left = atom()
    while (rest[0] === '*') left = { kind: rest.shift() as '*', left, right: atom() }
    return left
  }

  function atom(): Expression {
    const token = rest.shift()
    if (token === undefined || token === '+' || token === '*' || token === ')') throw invalid(path, text)
    if (token === '-') return { kind: '-', left: { kind: 'constant', value: new Big(0) }, right: atom() }
    if (token !== '(') return leaf(token)
    const inner = sum()
    if (rest.shift() !== ')') throw invalid(path, text)
    return inner
  }

  const whole = sum()
  if (rest.length > 0) throw invalid(path, text)
  return whole
}

function leaf(token: string): Expression {
  return /^\d/.test(token) ? { kind: 'constant', value: new Big(token) } : { kind: 'field', name: token }
}

/** Returns the exact value of an expression, given the value of each field. */
export function evaluate(expression: Expression, fieldValue: (field: string) => Big): Big {
  if (expression.kind === 'constant') return expression.value
  if (expression.kind === 'field') return fieldValue(expression.name)
  const left = evaluate(expression.left, fieldValue)
  const right = evaluate(expression.right, fieldValue)
  if (expression.kind === '+') return left.plus(right)
  return expression.kind === '-' ? left.minus(right) : left.times(right)
}

/** Returns how many decimals an expression can have: a product adds those of its factors, a sum has the greater. */
export function naturalScale(expression: Expression, scaleOf: (field: string) => number): number {
  if (expression.kind === 'constant') return decimals(expression.value)
  if (expression.kind === 'field') return scaleOf(expression.name)
  const left = naturalScale(expression.left, scaleOf)
  const right = naturalScale(expression.right, scaleOf)
  return expression.kind === '*' ? left + right : Math.max(left, right)
}

/** Returns the number of decimals of a number, without trailing zeros. */
export function decimals(value: Big): number {
  return Math.max(0, value.c.length - 1 - value.e)
}
