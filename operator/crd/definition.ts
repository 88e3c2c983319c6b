/** The CustomResourceDefinition of SalesPipeline, derived from the contract (pipeline/). */

import { PIPELINE_NAME, PIPELINE_NAME_RULE } from '#pipeline/names.ts'
import { API_VERSION, KIND, spec } from '#pipeline/schema.ts'
import { RULES } from './rules.ts'
import { STATUS } from './status-schema.ts'
import { type Structural, structural, withRules } from './structural.ts'
import { PLACE_OF_RESULTS, TRANSITIONS } from './transitions.ts'

const [GROUP, VERSION] = API_VERSION.split('/') as [string, string]
export const PLURAL = 'salespipelines'

const column = (name: string, type: string, jsonPath: string, description: string, priority = 0) => ({
  name,
  type,
  jsonPath,
  description,
  ...(priority > 0 && { priority }),
})

const COLUMNS = [
  column('Ready', 'string', '.status.conditions[?(@.type=="Ready")].status', 'Whether results reach every sink'),
  column('Workers', 'string', '.status.workers.summary', 'Ready workers / desired workers'),
  column('Lag', 'integer', '.status.lag', 'Records not yet in the results'),
  column(
    'Watermark',
    'date',
    '.status.watermark',
    'How far the watermark is behind the clock; windows before the watermark are complete',
  ),
  column('Reason', 'string', '.status.conditions[?(@.type=="Ready")].reason', 'Reason of the condition Ready'),
  column('Age', 'date', '.metadata.creationTimestamp', 'Time since the pipeline was created'),
  column('Delay', 'string', '.status.endToEndDelayP99', 'Time from a sale to its committed result, 99th percentile', 1),
  column(
    'CatchUp',
    'string',
    '.status.catchUp',
    'Estimated time until all records that can be read are in the results',
    1,
  ),
  column('Message', 'string', '.status.conditions[?(@.type=="Ready")].message', 'What is wrong, and what to do', 1),
]

/** Returns a new object on every call. Throws when a rule names a field that the schema does not have. */
export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: 'salespipeline',
        // Linkerd's ServiceProfile has the short name sp, too.
        shortNames: ['spl', 'sp'],
        categories: ['all'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: documentSchema() },
          additionalPrinterColumns: COLUMNS,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.workers.replicas',
              statusReplicasPath: '.status.workers.replicas',
              labelSelectorPath: '.status.workers.selector',
            },
          },
        },
      ],
    },
  }
}

function documentSchema(): Structural {
  const specSchema = structural(spec)
  for (const rules of [RULES, TRANSITIONS])
    for (const [path, list] of Object.entries(rules)) withRules(specSchema, path, list)
  return {
    type: 'object',
    description:
      'A pipeline that reads a stream of sales, aggregates them in event-time windows, and writes the results to sinks',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `Version of the format of this document: ${API_VERSION}` },
      kind: { type: 'string', description: `Kind of this document: ${KIND}` },
      metadata: { type: 'object' },
      spec: specSchema,
      status: STATUS,
    },
    'x-kubernetes-validations': [
      {
        rule: `self.metadata.name.matches(r'${PIPELINE_NAME.source}')`,
        message: `metadata.name ${PIPELINE_NAME_RULE}`,
      },
      ...PLACE_OF_RESULTS,
    ],
  }
}
