/**
 * `npm run images` with --kind, --minikube and --push. The tools are fakes that record how they are called and look at
 * what they are given: no cluster of kind or minikube is to be had in a test. A real registry is in test/root.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { kind, minikube, registry } from '../../images/destinations.ts'
import { ownFolder } from '../support/folder.ts'

const root = resolve(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** Of the system: what building needs, and the fakes. */
const NEEDED = ['tar', 'ldd', 'bash', 'sh', 'git', 'basename', 'cat']
/** A line for each call: its name and its arguments; and what an archive that is there says it is. */
const FAKE = `#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
for file in "$@"; do if [ -f "$file" ]; then tar -xOf "$file" manifest.json >> "$CALLS"; echo >> "$CALLS"; fi; done
`

/** A path that holds these tools beside what the system must have, and nothing else. */
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
  const ended = await new Promise<{ code: number; stdout: string; stderr: string }>(done => {
    const command = [join(root, 'images/main.ts'), ...args]
    execFile(process.execPath, command, { env, encoding: 'utf8' }, (error, stdout, stderr) =>
      done({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
  })
  return { ...ended, called: called(), left: readdirSync(temporary) }
}

describe('npm run images', { timeout: 240_000 }, () => {
  it('builds, loads and says how to go on', async () => {
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
    [['--kind'], /^kind is not on the path\. .*brew install kind; or .*--archive DIR/],
    [['--minikube'], /^minikube is not on the path\. .*--archive DIR/],
    [['--push', 'ghcr.io/me'], /^docker is not on the path\. --push needs skopeo or docker: .*--archive DIR/],
    [['--push', 'https://ghcr.io'], /such as ghcr\.io\/me, not "https:\/\/ghcr\.io"/],
    [['--push', ''], /--push a registry/],
    [['--kind', '--archive', 'x'], /^Name one place/],
    [[], /^Name one place/],
    [['--archives', 'x'], /^Unknown argument: archives/],
  ])('says before it builds anything what is wrong with %j', async (args, message) => {
    const { code, stdout, stderr } = await images({}, ...args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/building|at .*\.ts:/)
  })

  it('teaches with --help', async () => {
    const { code, stdout } = await images({}, '--help')
    expect(code).toBe(0)
    for (const word of ['--kind', '--minikube', '--push', 'credentials', 'docker load', version])
      expect(stdout).toContain(word)
  })
})

describe('a place for images', () => {
  afterEach(() => void vi.unstubAllEnvs())
  const image = { archive: '/somewhere/verify.tar', tag: 'salespipeline/verify:1' }

  /** What is called for this image, on a path that holds these tools. */
  async function callsOf(tools: Record<string, string>, place: () => ReturnType<typeof kind>) {
    const { called, ...variables } = pathWith(tools)
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
    const { load, helm } = place()
    await load(image)
    return { called: called(), helm }
  }

  it('is a kind cluster', async () => {
    expect(await callsOf({ kind: FAKE }, () => kind('shop'))).toEqual({
      called: ['kind load image-archive /somewhere/verify.tar --name shop'],
      helm: ['--kube-context kind-shop'],
    })
  })

  it('is a minikube profile', async () => {
    expect(await callsOf({ minikube: FAKE }, () => minikube('shop'))).toEqual({
      called: ['minikube --profile shop image load /somewhere/verify.tar'],
      helm: ['--kube-context shop'],
    })
  })

  it('is a registry, by skopeo where it is there', async () => {
    expect(await callsOf({ skopeo: FAKE, docker: FAKE }, () => registry('registry.example/me/'))).toEqual({
      called: ['skopeo copy docker-archive:/somewhere/verify.tar docker://registry.example/me/salespipeline/verify:1'],
      helm: ['--set images.registry=registry.example/me'],
    })
  })

  it('is a registry, by docker where skopeo is not', async () => {
    expect((await callsOf({ docker: FAKE }, () => registry('localhost:5000'))).called).toEqual([
      'docker load --input /somewhere/verify.tar',
      'docker tag salespipeline/verify:1 localhost:5000/salespipeline/verify:1',
      'docker push localhost:5000/salespipeline/verify:1',
    ])
  })

  it('shows a tool’s last words when it fails', async () => {
    const lines = Array.from({ length: 30 }, (_, i) => `echo line ${i}`).join('\n')
    const failing = `#!/bin/sh\n${lines}\necho "ERROR: no nodes found for cluster" >&2\nexit 1\n`
    const failed = await callsOf({ kind: failing }, () => kind('shop')).catch((error: Error) => error.message)
    expect(failed).toMatch(/^kind load image-archive \S+ --name shop failed:\n/)
    expect(failed).toContain('ERROR: no nodes found for cluster')
    expect(failed).toContain('line 29')
    expect(failed).not.toContain('line 1\n')
  })
})
