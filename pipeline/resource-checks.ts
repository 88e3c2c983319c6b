/** The check of requests and limits, which span two fields. */
import type { Fault } from './faults.ts'
import { parseQuantity } from './quantities.ts'
import type { Spec } from './schema.ts'

export const LIMITED = ['cpu', 'memory'] as const
/** The blocks of a spec with requests and limits. */
const BLOCKS = ['workers', 'ingest'] as const

/** Kubernetes would refuse the pods. */
export function resourceFaults(spec: Spec): Fault[] {
  return BLOCKS.flatMap(block => {
    const { requests, limits } = spec[block].resources
    return LIMITED.flatMap(name => {
      const [request, limit] = [requests?.[name], limits?.[name]]
      if (request === undefined || limit === undefined || parseQuantity(request) <= parseQuantity(limit)) return []
      const message = `${limit} is less than the request (${request}); raise the limit or lower the request`
      return [{ path: [block, 'resources', 'limits', name], message }]
    })
  })
}
