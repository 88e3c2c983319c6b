/**
 * The file system of an image: Node with its libraries, a user, and one bundle, each with its licence and the data by which
 * scanners recognise it. There is no shell and no package manager.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, globSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type BuildOptions, build, type Metafile, type OnResolveArgs, type Plugin } from 'esbuild'
import { bundleOf, imageOf, type Project, SIGNALS, USER } from './config.ts'
import { hasDpkg, writeDebianPackages } from './packages/debian.ts'
import { licenceTexts, type NpmPackage, npmPackages, packageFolderOf } from './packages/npm.ts'
import { sbomOf } from './packages/sbom.ts'
import { DOC, fileIn, NPM_LICENCES, purlOf, SBOM, type Shipped } from './packages/shipped.ts'
import type { Program } from './programs.ts'

const ROOT = resolve(import.meta.dirname, '..')
/** A dependency of @platformatic/kafka. Its loader reads ../dist/native.wasm, relative to the folder of the bundle. */
const WASM_LOADER = '@platformatic/wasm-utils'
const WASM = 'app/dist/native.wasm'

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

/** Where the image has Node's licence, which includes those of the libraries inside of Node. */
const NODE_LICENCE = 'usr/share/doc/node/LICENSE'

/**
 * Writes the runtime layer, which all images share. Resolves with what it consists of. Throws without glibc's ldd, because
 * images need Linux. `warn`: on a system without Debian packages, scanners do not recognise the libraries.
 */
export async function writeRuntime(folder: string, warn: (line: string) => void): Promise<Shipped[]> {
  const node = join(folder, 'usr/bin/node')
  mkdirSync(dirname(node), { recursive: true })
  copyFileSync(join(ROOT, 'node_modules/node/bin/node'), node)
  const libraries = writeSystem(folder, [node])
  await build({
    ...BUNDLE,
    entryPoints: [join(ROOT, 'images/signals.ts')],
    format: 'cjs',
    outfile: join(folder, SIGNALS),
  })
  for (const [from, to] of [
    ['LICENSE', `${DOC}/LICENSE`],
    ['images/licences/node.txt', NODE_LICENCE],
  ]) {
    mkdirSync(join(folder, dirname(to!)), { recursive: true })
    copyFileSync(join(ROOT, from!), join(folder, to!))
  }
  if (hasDpkg()) return [nodeOf(folder), ...writeDebianPackages(folder, libraries)]
  warn(`this system has no dpkg, so the images do not say to which packages ${libraries.join(', ')} belong`)
  return [nodeOf(folder)]
}

function nodeOf(folder: string): Shipped {
  const [{ version, sha512 }] = npmPackages(ROOT, ['node_modules/node']) as [NpmPackage]
  return {
    name: 'node',
    version,
    purl: purlOf('generic', 'node', version),
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
    licence: `see /${NODE_LICENCE}`,
    ...(sha512 && { sha512 }),
    files: ['usr/bin/node', NODE_LICENCE].map(path => fileIn(folder, path)),
  }
}

/** Writes the libraries of the binaries, a user, and the configuration of name resolution. Returns the libraries. */
export function writeSystem(folder: string, binaries: string[]): string[] {
  // Libraries in the folder belong to the program and are already in place.
  const libraries = [...new Set(binaries.flatMap(librariesOf))].filter(library => !library.startsWith(folder))
  for (const library of libraries) {
    mkdirSync(join(folder, dirname(library)), { recursive: true })
    copyFileSync(library, join(folder, library))
  }
  for (const name of ['etc', 'tmp', 'app']) mkdirSync(join(folder, name), { recursive: true })
  chmodSync(join(folder, 'tmp'), 0o1777)
  writeFileSync(join(folder, 'etc/passwd'), `app:x:${USER}:${USER}:app:/app:/nonexistent\n`)
  writeFileSync(join(folder, 'etc/group'), `app:x:${USER}:\n`)
  writeFileSync(join(folder, 'etc/nsswitch.conf'), 'hosts: files dns\n')
  return libraries
}

function librariesOf(binary: string): string[] {
  const listed = execFileSync('ldd', [binary], { encoding: 'utf8' })
  return [...new Set(listed.match(/\/[^ ]*\.so[^ ]*/g) ?? [])]
}

/** The package does not say itself that its modules have no side effects. */
function withoutUnusedModules(name: string): Plugin {
  const folder = join(ROOT, 'node_modules', name)
  const isIn = ({ path, importer }: OnResolveArgs) =>
    path === name || (importer.startsWith(`${folder}/`) && path.startsWith('.'))
  return {
    name: `lean ${name}`,
    setup(build) {
      build.onResolve({ filter: /./ }, async args => {
        if (args.pluginData === name || !isIn(args)) return undefined
        const { importer, kind, resolveDir } = args
        const found = await build.resolve(args.path, { importer, kind, resolveDir, pluginData: name })
        return { ...found, sideEffects: false }
      })
    },
  }
}

/** Writes the code of a program into one file. Resolves with what it consists of. */
export async function bundle(
  { entry, unbundled = [], leanPackages = [] }: Program,
  outfile: string,
): Promise<Metafile> {
  const { metafile } = await build({
    ...BUNDLE,
    format: 'esm',
    entryPoints: [join(ROOT, entry)],
    outfile,
    external: unbundled,
    plugins: leanPackages.map(withoutUnusedModules),
    banner: { js: BANNER },
    define: COMMONJS_NAMES,
    metafile: true,
  })
  return metafile!
}

/** Writes the bundle of a program with its files, its unbundled packages, licences and the list of all that the image has. */
export async function writeProgram(
  folder: string,
  program: Program,
  project: Project,
  runtime: Shipped[],
): Promise<void> {
  const { name, files = [], unbundled = [] } = program
  const metafile = await bundle(program, join(folder, bundleOf(name)))
  for (const path of files) cpSync(join(ROOT, path), join(folder, 'app/bin', basename(path)), { recursive: true })
  const copied = unbundled.map(name => join('node_modules', name))
  for (const path of copied) cpSync(join(ROOT, path), join(folder, 'app', path), { recursive: true })
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs))
  const bundled = inputs.flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 && packageFolderOf(path)) || [])
  const packages = npmPackages(ROOT, [...bundled, ...copied])
  for (const package_ of packages) package_.files = writeFilesOf(folder, package_, copied)
  mkdirSync(join(folder, DOC), { recursive: true })
  writeFileSync(join(folder, NPM_LICENCES), licenceTexts(ROOT, packages))
  writeFileSync(join(folder, SBOM), sbomOf(imageOf(name), project, [...runtime, ...packages]))
}

/** Writes the files that a package needs outside of the bundle, and returns them together with those that are copied. */
function writeFilesOf(folder: string, { name, folder: from }: NpmPackage, copied: string[]): Shipped['files'] {
  if (name === WASM_LOADER) {
    mkdirSync(join(folder, dirname(WASM)), { recursive: true })
    copyFileSync(join(ROOT, from, 'dist/native.wasm'), join(folder, WASM))
    return [fileIn(folder, WASM)]
  }
  if (!copied.includes(from)) return []
  const paths = globSync(`app/${from}/**`, { cwd: folder }).filter(path => statSync(join(folder, path)).isFile())
  return paths.sort().map(path => fileIn(folder, path))
}
