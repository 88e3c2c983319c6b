/** `npm run plan -- FILE`: asks the API server whether it would accept the file, and reports what would happen. */
import type { KubeConfig } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { namingFile, readTextFile } from '#common/files.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { isKubeError, KubeClient } from './kube/client.ts'
import { kubeConfig } from './kube/config.ts'
import { type KubeObject, SALES_PIPELINE } from './kube/resources.ts'
import { planOf, type Version } from './plan.ts'

/** Resolves with the lines to print. Throws a UserError: SpecError, or KubeError when the API server refuses the file. */
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

/** The status of a running pipeline changes all the time: a conflict with such a write is tried again. */
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
  const text = readTextFile(file)
  return namingFile('read', file, () => parse(text))
}
