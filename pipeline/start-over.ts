/** How to compute all results again. Kubernetes comes first, because the operator cuts off long messages of a crash. */
const ON_KUBERNETES = 'see "Start over with an empty schema" in docs/operations.md'
const AGAIN = 'All results are then computed again from spec.source.startFrom'

export const START_OVER = `start over (on Kubernetes: ${ON_KUBERNETES}; with npm start and its own servers: add --fresh; without either: stop all workers and run node processor/main.ts remove --file PIPELINE.yaml). ${AGAIN}`

/** Returns the message with only the advice that applies on Kubernetes. */
export function adviceOnKubernetes(message: string): string {
  return message.replace(START_OVER, `start over: ${ON_KUBERNETES}. ${AGAIN}`)
}
