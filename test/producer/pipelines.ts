import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'

const EXAMPLE = resolve(import.meta.dirname, '../../k8s/examples/ecommerce.yaml')

/** Returns the e-commerce example with another topic and another load. */
export function ecommerce(bootstrap: string, topic: string, load: Record<string, unknown> = {}): SalesPipeline {
  return parsePipeline(ecommerceText(bootstrap, topic, load))
}

/** Returns the same document as the text of a file. */
export function ecommerceText(bootstrap: string, topic: string, load: Record<string, unknown> = {}): string {
  const document = parse(readFileSync(EXAMPLE, 'utf8'))
  document.spec.source = { bootstrapServers: [bootstrap], topic }
  document.spec.load = { profile: 'ecommerce', ...load }
  document.spec.telemetry = { traceSampling: 1 }
  return stringify(document)
}

/** Returns a sale of this example as JSON. */
export function ecommerceSale(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    transaction_id: 't-1',
    timestamp: '2026-01-31T12:00:00Z',
    category: 'books',
    payment_method: 'paypal',
    store_id: 'store-1',
    amount: 12.5,
    quantity: 1,
    ...changes,
  })
}
