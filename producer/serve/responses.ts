/** OpenAPI schemas of the request and the responses. */
import type { JsonSchema } from './event-schema.ts'

export function bodySchema(event: JsonSchema): JsonSchema {
  return { oneOf: [event, { type: 'array', items: event, minItems: 1 }] }
}

const FAULT = {
  type: 'object',
  properties: {
    index: { type: 'integer', description: 'Index of the event in the array, from 0; absent for a single event' },
    field: { type: 'string' },
    message: { type: 'string' },
  },
}

const refusal = (description: string) => ({ description, type: 'object', properties: { error: { type: 'string' } } })

export const RESPONSES = {
  202: {
    description: 'Kafka has acknowledged every event with acks=all',
    type: 'object',
    properties: {
      accepted: { type: 'integer' },
      offsets: {
        type: 'array',
        items: { type: 'object', properties: { partition: { type: 'integer' }, offset: { type: 'integer' } } },
      },
    },
  },
  400: {
    description: 'Nothing was sent: the body is not JSON, or fields are invalid',
    type: 'object',
    properties: { error: { type: 'string' }, faults: { type: 'array', items: FAULT } },
  },
  413: refusal('The request, or an event, is too large'),
  415: refusal('The content type is not application/json'),
  429: refusal(
    'Kafka is too slow and the buffer is full; nothing was sent. Send the same request again after the time in the header Retry-After',
  ),
  503: refusal('Kafka does not respond. Send the same request again after the time in the header Retry-After'),
}
