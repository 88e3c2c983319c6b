/** `npm run plan -- FILE`: asks the cluster what it would say of the file, and tells what would happen. */
import { readFileSync } from 'node:fs'
import type { KubeConfig } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { checkPipeline } from '#pipeline/parse.ts'
import { isKubeError, KubeClient } from './kube/client.ts'
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
    const [live, after] = await dryRun(client, { ...wanted, metadata: { ...wanted.metadata, namespace, name } })
    const { apiVersion, kind } = SALES_PIPELINE
    const owner = { apiVersion, kind, namespace, name, uid: live?.metadata.uid ?? '' }
    return planOf(owner, live && versionOf(live), versionOf(after))
  } finally {
    client.close()
  }
}

/** A pipeline at work has its status written all the time: then it is asked again, a few times. */
async function dryRun(client: KubeClient, wanted: KubeObject, tries = 5): Promise<[KubeObject | null, KubeObject]> {
  const live = await client.find(SALES_PIPELINE, wanted.metadata.namespace!, wanted.metadata.name)
  try {
    return [live, await client.dryRun(SALES_PIPELINE, wanted, live)]
  } catch (error) {
    if (!isKubeError(error, 409) || tries === 1) throw error
    return dryRun(client, wanted, tries - 1)
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
