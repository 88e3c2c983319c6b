/** Where a pipeline's local data is kept between runs. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { lockFolder } from '#local/services/lock.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'

const root = resolve(import.meta.dirname, '../..')

export type DataFolder = {
  path: string
  /** The document that the children run. */
  document: string
  journal: string
  commits: string
  logs: string
  kafka: string
  postgres: string
  elasticsearch: string
}

/** `.local/<name>`, with the namespace before it unless that is `default`. Nothing is created yet. */
export function dataFolder({ metadata }: SalesPipeline): DataFolder {
  const { name, namespace } = metadata
  const path = join(root, '.local', namespace === 'default' ? name : `${namespace}.${name}`)
  const [journal, commits, logs, kafka, postgres, elasticsearch] = FOLDERS.map(folder => join(path, folder)) as Six
  return { path, document: join(path, 'pipeline.yaml'), journal, commits, logs, kafka, postgres, elasticsearch }
}

const FOLDERS = ['journal', 'commits', 'logs', 'kafka', 'postgres', 'elasticsearch']
type Six = [string, string, string, string, string, string]

/** Creates what is missing; `fresh` drops everything but the lock first. */
export async function prepareFolder(folder: DataFolder, fresh: boolean): Promise<void> {
  if (fresh) {
    await serversGone([folder.kafka, folder.postgres, folder.elasticsearch])
    for (const name of readdirSync(folder.path).filter(name => name !== 'lock'))
      rmSync(join(folder.path, name), { recursive: true })
  }
  for (const path of [folder.journal, folder.commits, folder.logs]) mkdirSync(path, { recursive: true })
}

/** Servers of a run that was killed take some seconds to end: each holds the lock of its folder until then. */
async function serversGone(folders: string[]): Promise<void> {
  for (const path of folders) (await lockFolder(path, 'npm start -- --fresh'))()
}
