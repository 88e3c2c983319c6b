import { expect, it } from 'vitest'
import { kafkaText } from '#common/kafka-text.ts'

const lookup = (code: string) => Object.assign(new Error(`getaddrinfo ${code} kafka-0`), { code, hostname: 'kafka-0' })

it.each(['ENOTFOUND', 'EAI_AGAIN'])('names the host of an error %s that the client has nested', code => {
  const nested = new AggregateError([new Error('failed', { cause: lookup(code) })], 'produce failed 31 times')
  expect(kafkaText(nested)).toMatch(
    new RegExp(`^the host name kafka-0 cannot be resolved \\(${code}\\); correct it in`),
  )
})

it('returns the text of any other error', () => {
  expect(kafkaText(new AggregateError([lookup('ECONNREFUSED')]))).toBe('getaddrinfo ECONNREFUSED kafka-0')
})
