/** `npm run plan -- FILE`: dry-runs the file against the cluster and previews what applying it would change. */
import type { KubeConfig } from '@kubernetes/client-node'
import { namingFile, readTextFile } from '#common/files.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { parseYaml, plainValue } from '#pipeline/yaml.ts'
import { changePreview, type Version } from './change-preview.ts'
import { isKubeError, KubeClient } from './kube/client.ts'
import { kubeConfig } from './kube/config.ts'
import { type KubeObject, SALES_PIPELINE } from './kube/resources.ts'

/** Resolves with the lines to print. Throws a UserError: SpecError, or KubeError when the API server rejects the file. */
export async function planCommand(file: string, cluster?: KubeConfig): Promise<string[]> {
  const document = read(file)
  const checked = checkPipeline(document, file)
  const config = cluster ?? kubeConfig()
  const namespace =
    document.metadata.namespace ?? config.getContextObject(config.currentContext)?.namespace ?? 'default'
  const { name } = checked.metadata
  const client = new KubeClient(config)
  try {
    const [live, after] = await dryRun(client, { ...document, metadata: { ...document.metadata, namespace, name } })
    const { apiVersion, kind } = SALES_PIPELINE
    const owner = { apiVersion, kind, namespace, name, uid: live?.metadata.uid ?? '' }
    return changePreview(owner, live && versionOf(live), versionOf(after))
  } finally {
    client.close()
  }
}

/** Retries conflicts a few times: the operator keeps writing the status of a running pipeline. */
async function dryRun(client: KubeClient, document: KubeObject, tries = 5): Promise<[KubeObject | null, KubeObject]> {
  const live = await client.find(SALES_PIPELINE, document.metadata.namespace!, document.metadata.name)
  try {
    return [live, await client.dryRun(SALES_PIPELINE, document, live)]
  } catch (error) {
    if (!isKubeError(error, 409) || tries === 1) throw error
    return dryRun(client, document, tries - 1)
  }
}

function versionOf({ apiVersion, kind, metadata: { name, namespace }, spec }: KubeObject): Version {
  return {
    document: spec as object,
    spec: checkPipeline({ apiVersion, kind, metadata: { name, namespace }, spec }, name, { admitted: true }).spec,
  }
}

function read(file: string): KubeObject {
  const text = readTextFile(file)
  return namingFile('read', file, () => plainValue(parseYaml(text)) as KubeObject)
}
