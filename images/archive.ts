/** An image as a tar archive, as `docker save` writes it, with tar alone: the same input gives the same bytes. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type ImageConfig = {
  Entrypoint: string[]
  Env: string[]
  User: string
  WorkingDir: string
  Labels: Record<string, string>
  StopSignal?: string
}

/** Node's names for processors → those of images. */
const ARCHITECTURE: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }
/** No clock, no user, no order of a folder's names. */
const SAME_BYTES = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']

/** `tag`: such as `processor:0.1.0`. `layers`: folders, the lowest first. */
export async function writeArchive(file: string, tag: string, layers: string[], config: ImageConfig): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'image-'))
  try {
    const names = await Promise.all(layers.map(layer => writeLayer(folder, layer)))
    const image = {
      architecture: ARCHITECTURE[process.arch] ?? process.arch,
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config,
      rootfs: { type: 'layers', diff_ids: names.map(name => `sha256:${name.split('/')[0]}`) },
      history: names.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'npm run images' })),
    }
    const text = JSON.stringify(image)
    const id = `${createHash('sha256').update(text).digest('hex')}.json`
    writeFileSync(join(folder, id), text)
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify([{ Config: id, RepoTags: [tag], Layers: names }]))
    execFileSync('tar', [...SAME_BYTES, '-C', folder, '-cf', file, 'manifest.json', id, ...names])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Answers its name in the archive: its hash. */
async function writeLayer(folder: string, layer: string): Promise<string> {
  const making = mkdtempSync(join(folder, 'layer-'))
  const file = join(making, 'layer.tar')
  execFileSync('tar', [...SAME_BYTES, '-C', layer, '-cf', file, '.'])
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  const name = hash.digest('hex')
  mkdirSync(join(folder, name))
  renameSync(file, join(folder, name, 'layer.tar'))
  return `${name}/layer.tar`
}
