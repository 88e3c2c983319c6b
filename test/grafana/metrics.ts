/** Every metric that our processes serve, with its labels: from the registries themselves. */
import type { Registry } from 'prom-client'
import { createTelemetry } from '#operator/telemetry.ts'
import { createMetrics } from '#producer/serve/metrics.ts'
import { telemetryForTest } from '../processor/telemetry/fixture.ts'
import { allRules } from './rules.ts'

/** Labels that every target of a PodMonitor has. */
const OF_THE_TARGET = ['namespace', 'pod', 'container', 'job', 'instance']

/** Resolves with the labels of each series, by its name. */
export async function servedMetrics(): Promise<Map<string, Set<string>>> {
  const served = new Map<string, Set<string>>()
  const operator = createTelemetry().registry
  const registries: [Registry, string[]][] = [
    [telemetryForTest().telemetry.registry, ['pipeline']],
    [createMetrics('shop/sales', () => 0).registry, ['pipeline']],
    [operator, []],
  ]
  for (const [registry, everywhere] of registries)
    for (const { name, type, labels } of await metricsIn(registry)) {
      const suffixes = String(type) === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      for (const suffix of suffixes) {
        const own = suffix === '_bucket' ? [...labels, 'le'] : labels
        const known = served.get(name + suffix) ?? new Set(OF_THE_TARGET)
        served.set(name + suffix, new Set([...known, ...own, ...everywhere]))
      }
    }
  served.set(
    'ALERTS',
    new Set(['alertname', 'alertstate', 'severity', 'pipeline', 'code', 'law', 'aggregation', 'pod']),
  )
  for (const { record } of allRules()) if (record) served.set(record, new Set(['pipeline']))
  return served
}

async function metricsIn(registry: Registry) {
  return Promise.all(
    (await registry.getMetricsAsJSON()).map(async ({ name, type }) => {
      const metric = registry.getSingleMetric(name) as unknown as { labelNames?: string[] }
      return { name, type, labels: metric.labelNames ?? [] }
    }),
  )
}

const NAME = /(?<![\w:"$])(?:ALERTS|(?:salespipeline|process|nodejs)[_:][\w:]+)/g

/** Returns the names of the series in a query. */
export const seriesIn = (expr: string) => [...new Set(expr.replaceAll(/"[^"]*"/g, '""').match(NAME) ?? [])]

/** Returns the selectors of a query: a series and the labels that select it. */
export function selectorsIn(expr: string): { series: string; labels: string[] }[] {
  return [...expr.matchAll(/([a-zA-Z_:][\w:]*)\{([^}]*)\}/g)].map(([, series, matchers]) => ({
    series: series!,
    labels: [...matchers!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
  }))
}

/** Returns the labels that a query groups or joins by. */
export const groupedBy = (expr: string) =>
  [...expr.matchAll(/\b(?:by|on) \(([\w, ]*)\)/g)]
    .flatMap(([, list]) => list!.split(',').map(label => label.trim()))
    .filter(Boolean)
