/** Returns what /status of a worker shows that has no partition and has read nothing, changed by `more`. `at`: ms. */
export const idleReport = (worker: string, at: number, more: object = {}) => ({
  worker,
  at,
  startedAt: at,
  member: null,
  topicPartitions: 0,
  conditions: {},
  health: { ready: true },
  counters: { records: 0, busySeconds: 0, projectedRows: 0 },
  partitions: [],
  watermark: null,
  endToEndDelay: null,
  projectionDelay: null,
  projectionPending: 0,
  ...more,
})
