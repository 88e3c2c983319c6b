/** Each pipeline's status as metrics: alerts need it when no worker is left to scrape. */
import { Gauge, type Registry } from 'prom-client'
import type { Status } from './status/input.ts'

export type StatusMetrics = {
  /** null: the pipeline was deleted; its series disappear. */
  onStatus(pipeline: string, status: Status | null): void
}

/** Every scrape rebuilds all series, so that none outlives the reason in its labels. */
export function statusMetrics(registry: Registry): StatusMetrics {
  const statuses = new Map<string, Status>()
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    show: (status: Status, set: (labels: Record<Label, string>, value: number) => void) => void,
  ) =>
    new Gauge({
      name: `salespipeline_operator_${name}`,
      help,
      labelNames: ['pipeline', ...labelNames],
      registers: [registry],
      collect() {
        this.reset()
        for (const [pipeline, status] of statuses)
          show(status, (labels, value) => this.set({ pipeline, ...labels }, value))
      },
    })

  gauge('ready', 'Condition Ready of the pipeline, 1 or 0, with its reason', ['reason'], ({ conditions }, set) => {
    const { status, reason } = conditions.find(({ type }) => type === 'Ready')!
    set({ reason }, status === 'True' ? 1 : 0)
  })
  gauge(
    'workers',
    'Workers of the pipeline: desired, ready, and target (the number that the autoscaler recommends)',
    ['state'],
    ({ workers, autoscale }, set) => {
      set({ state: 'desired' }, workers.desired)
      set({ state: 'ready' }, workers.ready)
      if (autoscale) set({ state: 'target' }, autoscale.target)
    },
  )
  gauge(
    'last_scale_timestamp_seconds',
    'Unix time of the last change of the number of workers by the operator; labels: old number, new number, reason',
    ['from', 'to', 'reason'],
    ({ lastScale }, set) => {
      if (!lastScale) return
      const { from, to, reason, at } = lastScale
      set({ from: String(from), to: String(to), reason }, Date.parse(at) / 1000)
    },
  )
  return {
    onStatus: (pipeline, status) => void (status ? statuses.set(pipeline, status) : statuses.delete(pipeline)),
  }
}
