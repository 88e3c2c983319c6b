/** Rules in CEL for fields that have a meaning only on Kubernetes, or another one there. */
import { LIMITED } from '#pipeline/resource-checks.ts'
import type { CelRule } from './admission-rules.ts'

/** The check of pipeline/resource-checks.ts. A field that is no quantity has its own message. */
export const RESOURCES: CelRule[] = LIMITED.map(name => {
  const [request, limit] = ['requests', 'limits'].map(list => `string(self.${list}.${name})`)
  const isSet = ['requests', 'limits'].map(list => `has(self.${list}) && has(self.${list}.${name})`).join(' && ')
  return {
    rule: `!(${isSet}) || !isQuantity(${request}) || !isQuantity(${limit}) || quantity(${request}).compareTo(quantity(${limit})) <= 0`,
    message: 'is less than the request; raise the limit or lower the request',
    fieldPath: `.limits.${name}`,
  }
})

/**
 * Addresses whose default is the machine of the user. In a pod they would be the pod itself, so on Kubernetes they have no default.
 * Documents that were stored by a release up to 0.3.0 have the default in writing.
 */
const required = (has: string, fieldPath: string, example: string): CelRule => ({
  rule: has,
  message: `is required on Kubernetes; set it, for example to ${example}`,
  fieldPath,
})
export const BROKERS = required('has(self.bootstrapServers)', '.bootstrapServers', '["kafka-kafka-bootstrap:9092"]')
export const NODES = required('has(self.nodes)', '.nodes', '["https://elasticsearch-es-http:9200"]')
export const HOST = required(
  'has(self.sinks) && has(self.sinks.postgres) && has(self.sinks.postgres.host)',
  '.sinks.postgres.host',
  'postgres',
)
