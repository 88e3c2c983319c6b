/** What an image holds: Node with the libraries it is linked to, nobody's home, and one bundle. No shell, no packages. */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { build } from 'esbuild'
import type { Program } from './programs.ts'

/** Also in operator/desired/workload.ts; another user would do as well. */
export const USER = 10_001
/** npm puts it beside @platformatic/kafka, or below where another version of it is needed, too. */
const WASM = '@platformatic/wasm-utils/dist/native.wasm'
const ROOT = resolve(import.meta.dirname, '..')

/** Modules that are CommonJS ask for these; the bundle is a module. */
const BANNER = `import { createRequire as makeRequire } from 'node:module';
const require = makeRequire(import.meta.url);
const __filename = import.meta.filename;
const __dirname = import.meta.dirname;`

/** The layer that all images share. Throws on a system without glibc's ldd: the images are Linux's. */
export function writeRuntime(folder: string): void {
  const node = join(folder, 'usr/bin/node')
  mkdirSync(dirname(node), { recursive: true })
  copyFileSync(join(ROOT, 'node_modules/node/bin/node'), node)
  writeSystem(folder, [node])
}

/** The libraries that the binaries are linked to, a user, and where to look for names. */
export function writeSystem(folder: string, binaries: string[]): void {
  for (const library of new Set(binaries.flatMap(librariesOf))) {
    // What lies in the folder already is the program's own.
    if (library.startsWith(folder)) continue
    mkdirSync(join(folder, dirname(library)), { recursive: true })
    copyFileSync(library, join(folder, library))
  }
  for (const name of ['etc', 'tmp', 'app']) mkdirSync(join(folder, name), { recursive: true })
  chmodSync(join(folder, 'tmp'), 0o1777)
  writeFileSync(join(folder, 'etc/passwd'), `app:x:${USER}:${USER}:app:/app:/nonexistent\n`)
  writeFileSync(join(folder, 'etc/group'), `app:x:${USER}:\n`)
  writeFileSync(join(folder, 'etc/nsswitch.conf'), 'hosts: files dns\n')
}

function librariesOf(binary: string): string[] {
  const listed = execFileSync('ldd', [binary], { encoding: 'utf8' })
  return [...new Set(listed.match(/\/[^ ]*\.so[^ ]*/g) ?? [])]
}

/** Answers where the bundle lies in the image. */
export async function writeProgram(
  folder: string,
  { entry, name, files = [] }: Pick<Program, 'entry' | 'name' | 'files'>,
): Promise<string> {
  const file = `/app/bin/${name}.mjs`
  await build({
    ...{ entryPoints: [join(ROOT, entry)], outfile: join(folder, file), absWorkingDir: ROOT },
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node24', minifyWhitespace: true, minifySyntax: true },
    ...{ banner: { js: BANNER }, legalComments: 'none', logLevel: 'error' },
  })
  for (const path of files) cpSync(join(ROOT, path), join(folder, 'app/bin', basename(path)), { recursive: true })
  // @platformatic/kafka's decompression and CRC; it looks for the file beside the folder of the bundle.
  mkdirSync(join(folder, 'app/dist'), { recursive: true })
  const wasm = ['', '@platformatic/kafka/node_modules/'].map(below => join(ROOT, 'node_modules', below, WASM))
  copyFileSync(wasm.find(path => existsSync(path))!, join(folder, 'app/dist/native.wasm'))
  return file
}
