import Big from 'big.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Expression, fieldsOf, parseExpression } from '#pipeline/expression.ts'
import { check } from '#test/support/properties.ts'

const FIELDS: Record<string, string> = { quantity: '3', price: '19.99', discount: '0.125', _x1: '-2' }

/** Evaluates the tree with another decimal library. */
function meaningOf(expression: Expression): Big {
  switch (expression.op) {
    case 'field':
      return Big(FIELDS[expression.name]!)
    case 'literal':
      return Big(expression.text)
    case 'negate':
      return meaningOf(expression.operand).times(-1)
    case '+':
      return meaningOf(expression.left).plus(meaningOf(expression.right))
    case '-':
      return meaningOf(expression.left).minus(meaningOf(expression.right))
    case '*':
      return meaningOf(expression.left).times(meaningOf(expression.right))
  }
}

/** Generates a formula with redundant parentheses and blanks together with its value, without a parser. */
const { formula } = fc.letrec<{ formula: [text: string, value: Big] }>(tie => ({
  formula: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(...Object.entries(FIELDS)).map(([name, text]): [string, Big] => [name, Big(text)]),
    fc.constantFrom('0', '7', '0.50').map((text): [string, Big] => [text, Big(text)]),
    tie('formula').map(([text, value]): [string, Big] => [`-(${text})`, value.times(-1)]),
    fc
      .tuple(tie('formula'), fc.constantFrom('+', '-', '*'), tie('formula'))
      .map(([[a, x], op, [b, y]]): [string, Big] => [
        `( ${a} )${op} (${b})`,
        op === '+' ? x.plus(y) : op === '-' ? x.minus(y) : x.times(y),
      ]),
  ),
}))

function nesting(text: string): number {
  let [depth, deepest] = [0, 0]
  for (const sign of text) {
    if (sign === '(') deepest = Math.max(deepest, ++depth)
    if (sign === ')') depth--
  }
  return deepest
}

describe('parseExpression', () => {
  it.each([
    ['quantity * price - discount', '59.845'],
    ['quantity * (price - discount)', '59.595'],
    ['price - discount - discount', '19.74'],
    ['1 + 2 * 3 + 4', '11'],
    ['-quantity * -2', '6'],
    ['- - 5', '5'],
    [' ( ( price ) ) ', '19.99'],
    ['_x1*_x1', '4'],
  ])('parses %s, whose value is %s', (text, value) => expect(meaningOf(parseExpression(text)).toFixed()).toBe(value))

  it('honours the parentheses of any formula', () => {
    check(
      fc.property(formula, ([text, value]) => {
        fc.pre(nesting(text) <= 3 && text.split(/[-+*]/).length <= 16)
        expect(meaningOf(parseExpression(text)).eq(value)).toBe(true)
      }),
    )
  })

  it('yields each field name once', () =>
    expect(fieldsOf(parseExpression('price * quantity + price'))).toEqual(['price', 'quantity']))

  it.each([
    ['', /ends too early/],
    ['price *', /ends too early/],
    ['(price', /the \( at position 0 is not closed/],
    ['price)', /unexpected "\)" at position 5/],
    ['* price', /unexpected "\*" at position 0/],
    ['price quantity', /unexpected "quantity" at position 6/],
    ['price / 2', /cannot read "\/ 2"/],
    ['Price', /cannot read "Price"/],
    ['price; DROP TABLE sales', /cannot read ";/],
    ['1e3', /unexpected "e3" at position 1/],
    ['((((a))))', /more than 3 levels of parentheses/],
  ])('refuses "%s"', (text, message) => expect(() => parseExpression(text)).toThrow(message))
})
