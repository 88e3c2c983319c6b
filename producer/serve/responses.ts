/** OpenAPI schemas of the request and the responses. */
import type { JsonSchema } from './event-schema.ts'
import { MAX_FAULTS } from './validation.ts'

/** `maxEvents`: maximum number of sales in an array. */
export function bodySchema(event: JsonSchema, maxEvents: number): JsonSchema {
  return { oneOf: [event, { type: 'array', items: event, minItems: 1, maxItems: maxEvents }] }
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

/** Part of the OpenAPI document when clients need a token. */
export const BEARER_AUTH = {
  components: { securitySchemes: { token: { type: 'http' as const, scheme: 'bearer' } } },
  security: [{ token: [] as string[] }],
}

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
    description: `Nothing was sent: the body is not JSON, or fields are invalid (the first ${MAX_FAULTS} faults are listed)`,
    type: 'object',
    properties: { error: { type: 'string' }, faults: { type: 'array', items: FAULT, maxItems: MAX_FAULTS } },
  },
  401: refusal('The token in the header Authorization is missing or not valid; the body was not read'),
  408: refusal('The request did not arrive in time'),
  413: refusal('The request (after decompression), its number of sales, or an event is too large'),
  415: refusal('The content type is not application/json, or the content encoding is not gzip, deflate or br'),
  429: refusal(
    'Requests in progress use all memory that they may use; nothing was sent. Send the same request again after the time in the header Retry-After',
  ),
  503: refusal('Kafka does not respond. Send the same request again after the time in the header Retry-After'),
}
