/** The file system of an image: Node with its libraries, a user, and one bundle. There is no shell and no package. */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { bundleOf, SIGNALS, USER } from './config.ts'
import type { Program } from './programs.ts'

const ROOT = resolve(import.meta.dirname, '..')
/** A dependency of @platformatic/kafka. Its loader reads ../dist/native.wasm, relative to the folder of the bundle. */
const WASM_LOADER = /^(node_modules\/.*@platformatic\/wasm-utils\/)/

/** Defines `require` for CommonJS modules in the bundle, which is an ES module. */
const BANNER =
  "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);"

/** Replaces the other two names that CommonJS modules expect. */
const COMMONJS_NAMES = { __filename: 'import.meta.filename', __dirname: 'import.meta.dirname' }

const BUNDLE: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node24',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'error',
}

/** Writes the runtime layer, which all images share. Throws without glibc's ldd, because images need Linux. */
export async function writeRuntime(folder: string): Promise<void> {
  const node = join(folder, 'usr/bin/node')
  mkdirSync(dirname(node), { recursive: true })
  copyFileSync(join(ROOT, 'node_modules/node/bin/node'), node)
  writeSystem(folder, [node])
  await build({
    ...BUNDLE,
    entryPoints: [join(ROOT, 'images/signals.ts')],
    format: 'cjs',
    outfile: join(folder, SIGNALS),
  })
}

/** Writes the libraries of the binaries, a user, and the configuration of name resolution. */
export function writeSystem(folder: string, binaries: string[]): void {
  for (const library of new Set(binaries.flatMap(librariesOf))) {
    // Libraries in the folder belong to the program and are already in place.
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

/** Writes the bundle of a program with its files and unbundled packages. */
export async function writeProgram(
  folder: string,
  { entry, name, files = [], unbundled = [] }: Program,
): Promise<void> {
  const { metafile } = await build({
    ...BUNDLE,
    format: 'esm',
    entryPoints: [join(ROOT, entry)],
    outfile: join(folder, bundleOf(name)),
    external: unbundled,
    banner: { js: BANNER },
    define: COMMONJS_NAMES,
    metafile: true,
  })
  for (const path of files) cpSync(join(ROOT, path), join(folder, 'app/bin', basename(path)), { recursive: true })
  for (const path of unbundled.map(name => join('node_modules', name)))
    cpSync(join(ROOT, path), join(folder, 'app', path), { recursive: true })
  for (const path of Object.keys(metafile!.inputs)) {
    const [, loader] = WASM_LOADER.exec(path) ?? []
    if (!loader) continue
    mkdirSync(join(folder, 'app/dist'), { recursive: true })
    copyFileSync(join(ROOT, loader, 'dist/native.wasm'), join(folder, 'app/dist/native.wasm'))
  }
}
