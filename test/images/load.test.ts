/**
 * `npm run images` with --kind, --minikube and --push. The tools are fakes that record their arguments and the archives,
 * because kind and minikube cannot run in these tests. test/root uses a real registry.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { kind, minikube, registry } from '../../images/destinations.ts'
import { ownFolder } from '../support/folder.ts'

const root = resolve(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** System programs that the build and the fakes need. */
const NEEDED = ['tar', 'ldd', 'bash', 'sh', 'git', 'basename', 'cat']
/** Records a line for each call with its name and arguments, and the manifest of each archive among them. */
const FAKE = `#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
for file in "$@"; do if [ -f "$file" ]; then tar -xOf "$file" manifest.json >> "$CALLS"; echo >> "$CALLS"; fi; done
`

/** Returns a PATH with these tools and the needed system programs only. */
function pathWith(tools: Record<string, string>) {
  const bin = ownFolder('bin')
  const calls = join(bin, 'calls')
  writeFileSync(calls, '')
  for (const name of NEEDED) symlinkSync(resolve('/usr/bin', name), join(bin, name))
  for (const [name, script] of Object.entries(tools)) writeFileSync(join(bin, name), script, { mode: 0o755 })
  return { PATH: bin, CALLS: calls, called: () => readFileSync(calls, 'utf8').trim().split('\n').filter(Boolean) }
}

async function images(tools: Record<string, string>, ...args: string[]) {
  const temporary = ownFolder('tmp')
  const { called, ...variables } = pathWith(tools)
  const env = { ...variables, TMPDIR: temporary }
  const result = await new Promise<{ code: number; stdout: string; stderr: string }>(done => {
    const command = [join(root, 'images/main.ts'), ...args]
    execFile(process.execPath, command, { env, encoding: 'utf8' }, (error, stdout, stderr) =>
      done({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
  })
  return { ...result, called: called(), left: readdirSync(temporary) }
}

describe('npm run images', { timeout: 240_000 }, () => {
  it('builds and loads the images, and prints the helm command', async () => {
    const { code, stdout, stderr, called, left } = await images({ kind: FAKE }, '--kind', 'shop', '--tag', 'mine')
    expect({ code, left }).toEqual({ code: 0, left: [] })
    const programs = ['processor', 'producer', 'operator', 'verify']
    const isCall = (line: string) => line.startsWith('kind')
    expect(called.filter(isCall).map(line => line.replace(/ \S*\//, ' '))).toEqual(
      programs.map(name => `kind load image-archive ${name}.tar --name shop`),
    )
    expect(called.filter(line => !isCall(line)).map(line => JSON.parse(line)[0].RepoTags)).toEqual(
      programs.map(name => [`salespipeline/${name}:mine`]),
    )
    expect(stderr).toMatch(/^built salespipeline\/processor:mine, \d+\.\d MB$/m)
    expect(stderr).toContain('salespipeline/verify:mine → kind cluster shop …')
    expect(stdout).toMatch(
      /^ {2}helm upgrade --install sales charts\/.* --kube-context kind-shop --set images\.tag=mine$/m,
    )
  })

  it.each([
    [['--kind'], /^kind is not on the PATH\. .*brew install kind\), or .*--archive DIR/],
    [['--minikube'], /^minikube is not on the PATH\. .*--archive DIR/],
    [['--push', 'ghcr.io/me'], /^docker is not on the PATH\. --push needs skopeo or docker\. .*--archive DIR/],
    [['--push', 'https://ghcr.io'], /such as ghcr\.io\/me, not "https:\/\/ghcr\.io"/],
    [['--push', ''], /--push needs a registry/],
    [['--kind', '--archive', 'x'], /^Give exactly one destination/],
    [[], /^Give exactly one destination/],
    [['--archives', 'x'], /^Unknown argument: archives/],
  ])('rejects the arguments %j before it builds anything', async (args, message) => {
    const { code, stdout, stderr } = await images({}, ...args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/building|at .*\.ts:/)
  })

  it('shows options, examples and the version with --help', async () => {
    const { code, stdout } = await images({}, '--help')
    expect(code).toBe(0)
    for (const word of ['--kind', '--minikube', '--push', 'credentials', 'docker load', version])
      expect(stdout).toContain(word)
  })
})

describe('a destination of images', () => {
  afterEach(() => void vi.unstubAllEnvs())
  const image = { archive: '/somewhere/verify.tar', tag: 'salespipeline/verify:1' }

  /** Loads the image with these tools on the PATH; returns the calls. */
  async function callsOf(tools: Record<string, string>, destination: () => ReturnType<typeof kind>) {
    const { called, ...variables } = pathWith(tools)
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
    const { load, helm } = destination()
    await load(image)
    return { called: called(), helm }
  }

  it('loads images into a kind cluster', async () => {
    expect(await callsOf({ kind: FAKE }, () => kind('shop'))).toEqual({
      called: ['kind load image-archive /somewhere/verify.tar --name shop'],
      helm: ['--kube-context kind-shop'],
    })
  })

  it('loads images into a minikube profile', async () => {
    expect(await callsOf({ minikube: FAKE }, () => minikube('shop'))).toEqual({
      called: ['minikube --profile shop image load /somewhere/verify.tar'],
      helm: ['--kube-context shop'],
    })
  })

  it('pushes images to a registry with skopeo if it is installed', async () => {
    expect(await callsOf({ skopeo: FAKE, docker: FAKE }, () => registry('registry.example/me/'))).toEqual({
      called: ['skopeo copy docker-archive:/somewhere/verify.tar docker://registry.example/me/salespipeline/verify:1'],
      helm: ['--set images.registry=registry.example/me'],
    })
  })

  it('pushes images to a registry with docker if skopeo is not installed', async () => {
    expect((await callsOf({ docker: FAKE }, () => registry('localhost:5000'))).called).toEqual([
      'docker load --input /somewhere/verify.tar',
      'docker tag salespipeline/verify:1 localhost:5000/salespipeline/verify:1',
      'docker push localhost:5000/salespipeline/verify:1',
    ])
  })

  it('shows the last lines of a tool’s output when it fails', async () => {
    const lines = Array.from({ length: 30 }, (_, i) => `echo line ${i}`).join('\n')
    const failing = `#!/bin/sh\n${lines}\necho "ERROR: no nodes found for cluster" >&2\nexit 1\n`
    const failed = await callsOf({ kind: failing }, () => kind('shop')).catch((error: Error) => error.message)
    expect(failed).toMatch(/^kind load image-archive \S+ --name shop failed:\n/)
    expect(failed).toContain('ERROR: no nodes found for cluster')
    expect(failed).toContain('line 29')
    expect(failed).not.toContain('line 1\n')
  })
})
