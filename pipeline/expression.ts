/**
 * Arithmetic over event fields, as in `quantity * price`: + - *, parentheses, field names, decimal literals.
 * Parsed once into a tree; evaluated by whoever needs it, with its own exact numbers.
 */

export type Expression =
  | { op: 'field'; name: string }
  | { op: 'literal'; text: string }
  | { op: '+' | '-' | '*'; left: Expression; right: Expression }
  | { op: 'negate'; operand: Expression }

/** Deeper nesting than any sensible formula; bounds the recursion on hostile specs. */
const MAX_TOKENS = 200

/** Throws an Error whose message names the place. Example: `parseExpression('quantity * (price - discount)')`. */
export function parseExpression(text: string): Expression {
  const tokens = tokenize(text)
  let next = 0
  const peek = () => tokens[next]?.text

  function sum(): Expression {
    let left = product()
    while (peek() === '+' || peek() === '-') left = { op: tokens[next++]!.text as '+' | '-', left, right: product() }
    return left
  }
  function product(): Expression {
    let left = factor()
    while (peek() === '*') {
      next++
      left = { op: '*', left, right: factor() }
    }
    return left
  }
  function factor(): Expression {
    const token = tokens[next++]
    if (!token) throw new Error('ends where a field, a number or ( is expected')
    if (token.text === '-') return { op: 'negate', operand: factor() }
    if (token.text === '(') {
      const inner = sum()
      if (tokens[next++]?.text !== ')') throw new Error(`the ( at ${token.at} is never closed`)
      return inner
    }
    if (/^[a-z_]/.test(token.text)) return { op: 'field', name: token.text }
    if (/^\d/.test(token.text)) return { op: 'literal', text: token.text }
    throw new Error(`unexpected "${token.text}" at ${token.at}`)
  }

  const result = sum()
  const rest = tokens[next]
  if (rest) throw new Error(`unexpected "${rest.text}" at ${rest.at}`)
  return result
}

/** The names of all fields in it, each once. */
export function fieldsOf(expression: Expression): string[] {
  switch (expression.op) {
    case 'field':
      return [expression.name]
    case 'literal':
      return []
    case 'negate':
      return fieldsOf(expression.operand)
    default:
      return [...new Set([...fieldsOf(expression.left), ...fieldsOf(expression.right)])]
  }
}

function tokenize(text: string): { text: string; at: number }[] {
  const tokens: { text: string; at: number }[] = []
  const pattern = /\s*([a-z_][a-z0-9_]*|\d+(?:\.\d+)?|[-+*()])/y
  while (pattern.lastIndex < text.trimEnd().length) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (!match) throw new Error(`cannot read "${text.slice(at).trim()}"; use field names, numbers, + - * ( )`)
    tokens.push({ text: match[1]!, at: pattern.lastIndex - match[1]!.length })
    if (tokens.length > MAX_TOKENS) throw new Error(`is longer than ${MAX_TOKENS} terms and operators`)
  }
  return tokens
}
