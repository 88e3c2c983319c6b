/**
 * Arithmetic over event fields, as in `quantity * price`: + - *, parentheses, field names, decimal literals.
 * An expression is parsed once into a tree. Each user evaluates it with its own exact numbers.
 */

export type Expression =
  | { op: 'field'; name: string }
  | { op: 'literal'; text: string }
  | { op: '+' | '-' | '*'; left: Expression; right: Expression }
  | { op: 'negate'; operand: Expression }

/** Characters, more than a sensible formula has. It bounds the recursion on hostile specs and CEL's cost estimate of a rule. */
export const MAX_EXPRESSION = 150
/** Operators + - * in one expression. */
export const MAX_SIGNS = 15
/** Levels of parentheses. The CRD checks expressions with a regular expression, which can only count to a fixed depth. */
export const MAX_NESTING = 3

/** Throws an Error whose message names the position. Example: `parseExpression('quantity * (price - discount)')`. */
export function parseExpression(text: string): Expression {
  const tokens = tokenize(text)
  let next = 0
  let depth = 0
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
    if (!token) throw new Error('ends too early; add a field, a number or a parenthesis')
    if (token.text === '-') return { op: 'negate', operand: factor() }
    if (token.text === '(') return parenthesis(token.at)
    if (/^[a-z_]/.test(token.text)) return { op: 'field', name: token.text }
    if (/^\d/.test(token.text)) return { op: 'literal', text: token.text }
    throw new Error(`unexpected "${token.text}" at position ${token.at}`)
  }

  function parenthesis(at: number): Expression {
    if (++depth > MAX_NESTING) throw new Error(`has more than ${MAX_NESTING} levels of parentheses`)
    const inner = sum()
    depth--
    if (tokens[next++]?.text !== ')') throw new Error(`the ( at position ${at} is not closed`)
    return inner
  }

  const result = sum()
  const rest = tokens[next]
  if (rest) throw new Error(`unexpected "${rest.text}" at position ${rest.at}`)
  return result
}

/** Returns the names of all fields in the expression, each once. */
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

/** Returns the same grammar as a regular expression (RE2) for the CRD. It is short because CEL charges by its length. */
export function expressionPattern(nesting = MAX_NESTING): string {
  const inner = nesting > 0 ? `|\\(${expressionPattern(nesting - 1)}\\)` : ''
  const term = ` *(- *)*([a-z_][a-z0-9_]*|\\d+(\\.\\d+)?${inner}) *`
  return `${term}([-+*]${term})*`
}

function tokenize(text: string): { text: string; at: number }[] {
  const tokens: { text: string; at: number }[] = []
  let signs = 0
  const pattern = / *([a-z_][a-z0-9_]*|\d+(?:\.\d+)?|[-+*()])/y
  while (/[^ ]/.test(text.slice(pattern.lastIndex))) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (!match) throw new Error(`cannot read "${text.slice(at).trim()}"; use field names, numbers, + - * ( )`)
    if (/[-+*]/.test(match[1]!) && ++signs > MAX_SIGNS) throw new Error(`has more than ${MAX_SIGNS} operators + - *`)
    tokens.push({ text: match[1]!, at: pattern.lastIndex - match[1]!.length })
  }
  return tokens
}
