/** `npm run plan -- FILE`: asks the cluster what it would say of the file, and tells what would happen. */
import { readFileSync } from 'node:fs'
import type { KubeConfig } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { checkPipeline } from '#pipeline/parse.ts'
import { KubeClient } from './kube/client.ts'
import { kubeConfig } from './kube/config.ts'
import { type KubeObject, SALES_PIPELINE } from './kube/resources.ts'
import { planOf, type Version } from './plan.ts'

/** The file is not there, or no YAML. */
export class FileError extends Error {}

/** Answers the lines to print. Throws FileError, SpecError, NoCluster, or KubeError with the API server's words when it would refuse the file. */
export async function planCommand(file: string, cluster?: KubeConfig): Promise<string[]> {
  const wanted = read(file)
  const checked = checkPipeline(wanted, file)
  const config = cluster ?? kubeConfig()
  const namespace = wanted.metadata.namespace ?? config.getContextObject(config.currentContext)?.namespace ?? 'default'
  const { name } = checked.metadata
  const client = new KubeClient(config)
  try {
    const live = await client.find(SALES_PIPELINE, namespace, name)
    const after = await client.dryRun(SALES_PIPELINE, { ...wanted, metadata: { ...wanted.metadata, namespace } }, live)
    const { apiVersion, kind } = SALES_PIPELINE
    const owner = { apiVersion, kind, namespace, name, uid: live?.metadata.uid ?? '' }
    return planOf(owner, live && versionOf(live), versionOf(after))
  } finally {
    client.close()
  }
}

function versionOf({ apiVersion, kind, metadata: { name, namespace }, spec }: KubeObject): Version {
  return {
    document: spec as object,
    spec: checkPipeline({ apiVersion, kind, metadata: { name, namespace }, spec }).spec,
  }
}

function read(file: string): KubeObject {
  try {
    return parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new FileError(`cannot read ${file}: ${(error as Error).message}`)
  }
}
