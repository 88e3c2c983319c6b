/** Writes an image as a tar archive in the format of `docker save`. The same input gives the same bytes. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export type ImageConfig = {
  Entrypoint: string[]
  Env: string[]
  User: string
  WorkingDir: string
  Labels: Record<string, string>
  StopSignal?: string
}

/** Node's name of an architecture → its name in images. */
const ARCHITECTURE: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }
/** Not the current time, so that builds are reproducible (reproducible-builds.org). */
const CREATED = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString()
/** Makes archives independent of the time, the user and the order of directory entries. */
const REPRODUCIBLE = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']

/** A layer: `file` is its archive below `folder`, named by its hash as in image archives. */
export type Layer = { folder: string; file: string }

export async function packLayer(work: string, content: string): Promise<Layer> {
  const folder = mkdtempSync(join(work, 'layer-'))
  const archive = join(folder, 'layer.tar')
  execFileSync('tar', [...REPRODUCIBLE, '-C', content, '-cf', archive, '.'])
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(archive)) hash.update(chunk as Buffer)
  const file = `${hash.digest('hex')}/layer.tar`
  mkdirSync(join(folder, dirname(file)))
  renameSync(archive, join(folder, file))
  return { folder, file }
}

/** Writes the image archive. `tag` is a name such as `processor:0.1.0`; the lowest layer comes first. */
export function writeArchive(archive: string, tag: string, layers: Layer[], config: ImageConfig): void {
  const folder = mkdtempSync(join(tmpdir(), 'image-'))
  try {
    const image = {
      architecture: ARCHITECTURE[process.arch] ?? process.arch,
      os: 'linux',
      created: CREATED,
      config,
      rootfs: { type: 'layers', diff_ids: layers.map(({ file }) => `sha256:${dirname(file)}`) },
      history: layers.map(() => ({ created: CREATED, created_by: 'npm run images' })),
    }
    const text = JSON.stringify(image)
    const id = `${createHash('sha256').update(text).digest('hex')}.json`
    writeFileSync(join(folder, id), text)
    const manifest = [{ Config: id, RepoTags: [tag], Layers: layers.map(({ file }) => file) }]
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
    const files = layers.flatMap(({ folder, file }) => ['-C', folder, file])
    execFileSync('tar', [...REPRODUCIBLE, '-cf', archive, '-C', folder, 'manifest.json', id, ...files])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
