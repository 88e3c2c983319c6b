/** The configuration files of the workloads: each holds only what its program reads, so that nothing else restarts it. */
import { createHash } from 'node:crypto'
import { stringify } from 'yaml'
import { REMOVAL_KEYS } from '#pipeline/removal-tokens.ts'
import type { KubeObject } from '../kube/resources.ts'
import { configName, metadata } from './names.ts'
import type { Observed, Owner } from './observed.ts'

export const CONFIG_FOLDER = '/etc/salespipeline'

export type ConfigFile = 'processor.yaml' | 'producer.yaml'

export function configMap({ owner, document, removalKeys }: Observed): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(owner, configName(owner)),
    // No pod is replaced for other keys: workers read this file for each removal.
    data: { ...configFiles(owner, document), [REMOVAL_KEYS]: JSON.stringify(removalKeys) },
  }
}

/** The number of workers is in neither file: scaling restarts no pod. */
const NOT_READ: Record<ConfigFile, string[]> = {
  'processor.yaml': ['workers', 'load', 'ingest', 'pods', 'deletionPolicy'],
  'producer.yaml': ['workers', 'sinks', 'commit', 'ingest', 'pods', 'deletionPolicy'],
}

/** The spec as the API server stores it, with defaults: a later operator version with other defaults changes nothing. */
export function configFiles(
  { apiVersion, kind, namespace, name }: Owner,
  document: object,
): Record<ConfigFile, string> {
  const file = (key: ConfigFile) => {
    const spec = Object.fromEntries(Object.entries(document).filter(([field]) => !NOT_READ[key].includes(field)))
    const options = { lineWidth: 0, aliasDuplicateObjects: false, sortMapEntries: true }
    return stringify({ apiVersion, kind, metadata: { name, namespace }, spec }, options)
  }
  return { 'processor.yaml': file('processor.yaml'), 'producer.yaml': file('producer.yaml') }
}

/** Short enough for a label value. */
export function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(typeof value === 'string' ? value : JSON.stringify(value))
    .digest('hex')
    .slice(0, 16)
}
