/** An image as a tar archive, as `docker save` writes it, with tar alone: the same input gives the same bytes. */
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

/** Node's names for processors → those of images. */
const ARCHITECTURE: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }
/** No clock but the one that is given, as reproducible-builds.org has it. */
const CREATED = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString()
/** No clock, no user, no order of a folder's names. */
const SAME_BYTES = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']

/** A folder as an archive: `file` lies in `folder` under its hash, as archives of images have it. */
export type Layer = { folder: string; file: string }

export async function packLayer(work: string, content: string): Promise<Layer> {
  const folder = mkdtempSync(join(work, 'layer-'))
  const making = join(folder, 'layer.tar')
  execFileSync('tar', [...SAME_BYTES, '-C', content, '-cf', making, '.'])
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(making)) hash.update(chunk as Buffer)
  const file = `${hash.digest('hex')}/layer.tar`
  mkdirSync(join(folder, dirname(file)))
  renameSync(making, join(folder, file))
  return { folder, file }
}

/** `tag`: such as `processor:0.1.0`. The lowest layer comes first. */
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
    execFileSync('tar', [...SAME_BYTES, '-cf', archive, '-C', folder, 'manifest.json', id, ...files])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
