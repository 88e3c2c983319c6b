/** How to compute all results again. Kubernetes comes first, because the operator cuts off long messages of a crash. */
export const START_OVER =
  'start over (on Kubernetes: see "Start over with an empty schema" in docs/operations.md; with npm start and its own servers: add --fresh; without either: stop all workers and run node processor/main.ts remove --file PIPELINE.yaml). All results are then computed again from spec.source.startFrom'
