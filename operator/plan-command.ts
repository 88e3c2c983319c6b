/** `node operator/main.ts plan FILE`: asks the cluster what it would say of the file, and tells what would happen. */
import { readFileSync } from 'node:fs'
import { KubeConfig } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { checkPipeline } from '#pipeline/parse.ts'
import { KubeClient } from './kube/client.ts'
import { type KubeObject, SALES_PIPELINE } from './kube/resources.ts'
import { planOf, type Version } from './plan.ts'

/** Answers the lines to print. Throws SpecError, or KubeError with the API server's words when it would refuse the file. */
export async function planCommand(file: string, config = kubeConfig()): Promise<string[]> {
  const wanted = parse(readFileSync(file, 'utf8')) as KubeObject
  const checked = checkPipeline(wanted, file)
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

function kubeConfig(): KubeConfig {
  const config = new KubeConfig()
  config.loadFromDefault()
  return config
}
