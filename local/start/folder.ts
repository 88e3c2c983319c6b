/** The folder that keeps a pipeline's local data between runs. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { lockFolder } from '#local/services/lock.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'

const root = resolve(import.meta.dirname, '../..')

export type DataFolder = {
  path: string
  /** The resolved document, which workers and load generator read. */
  document: string
  journal: string
  commits: string
  logs: string
  kafka: string
  postgres: string
  elasticsearch: string
}

/**
 * Returns `.local/<name>`, or `.local/<namespace>.<name>` outside of namespace `default`. A run on external servers has
 * its own folder with `@external` at the end: the verifier would report the sales of a journal of other servers as lost.
 * Creates nothing.
 */
export function dataFolder({ metadata }: SalesPipeline, external: boolean): DataFolder {
  const { name, namespace } = metadata
  const pipeline = namespace === 'default' ? name : `${namespace}.${name}`
  const path = join(root, '.local', external ? `${pipeline}@external` : pipeline)
  const below = (name: string) => join(path, name)
  return {
    path,
    document: below('pipeline.yaml'),
    journal: below('journal'),
    commits: below('commits'),
    logs: below('logs'),
    kafka: below('kafka'),
    postgres: below('postgres'),
    elasticsearch: below('elasticsearch'),
  }
}

/** Creates missing folders. `fresh` first deletes everything except the lock. */
export async function prepareFolder(folder: DataFolder, fresh: boolean): Promise<void> {
  if (fresh) {
    await waitForServers([folder.kafka, folder.postgres, folder.elasticsearch])
    for (const name of readdirSync(folder.path).filter(name => name !== 'lock'))
      rmSync(join(folder.path, name), { recursive: true })
  }
  for (const path of [folder.journal, folder.commits, folder.logs]) mkdirSync(path, { recursive: true })
}

/** The servers of a killed run need some seconds to exit; each holds the lock of its folder until then. */
async function waitForServers(folders: string[]): Promise<void> {
  for (const path of folders) (await lockFolder(path, 'npm start -- --fresh'))()
}
