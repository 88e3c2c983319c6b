import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sales-pipeline-install-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

type Installed = { output: string; result: string }

/** Installs in a separate process, as two starts at the same time do. */
async function install(what: 'Kafka' | 'Elasticsearch', env: NodeJS.ProcessEnv): Promise<Installed> {
  const code = `
    import { install${what} } from ${JSON.stringify(join(import.meta.dirname, '../../local/services/install.ts'))}
    console.log(await install${what}(line => console.error(line)).catch(error => error.message))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env: { ...process.env, ...env } })
  const installed: Installed = { output: '', result: '' }
  child.stdout.on('data', data => {
    installed.result += data
  })
  child.stderr.on('data', data => {
    installed.output += data
  })
  await new Promise(resolve => child.once('close', resolve))
  return { output: installed.output, result: installed.result.trim() }
}

it('installs one copy when two processes install at the same time, and nothing at the next start', async () => {
  const cache = join(folder, 'cache')
  const env = { SALESPIPELINE_CACHE: cache }
  const [first, second] = await Promise.all([install('Kafka', env), install('Kafka', env)])
  for (const { output } of [first, second])
    expect(output).toMatch(/^installing kafka from Maven Central .*\n(still .*\n)*installed kafka in \d+ s\n$/)
  expect(second.result).toBe(first.result)
  expect(readdirSync(cache).map(name => join(cache, name))).toEqual([first.result])
  expect(readdirSync(first.result)).toContain('kafka_2.13-4.3.1.jar')
  expect((await install('Kafka', env)).output).toBe('')
}, 600_000)

it('makes Elasticsearch’s scripts executable after unpacking', async () => {
  const { result } = await install('Elasticsearch', { SALESPIPELINE_CACHE: join(folder, 'search') })
  expect(statSync(join(result, 'bin/elasticsearch')).mode & 0o111).toBe(0o111)
}, 600_000)

it('shows the output of Maven when the installation fails, and leaves no partial files', async () => {
  const cache = join(folder, 'empty')
  const { result } = await install('Kafka', { SALESPIPELINE_CACHE: cache, PATH: fakeMaven() })
  expect(result).toMatch(
    /^cannot install kafka: mvn dependency:\S+ failed\. Check that Maven can reach its repository\..*\nno route to host$/,
  )
  expect(readdirSync(cache)).toEqual([])
})

/** Returns a PATH on which Maven fails. */
function fakeMaven(): string {
  const path = mkdtempSync(join(folder, 'tools-'))
  writeFileSync(join(path, 'mvn'), '#!/bin/sh\necho no route to host\nexit 1\n', { mode: 0o755 })
  return `${path}:${process.env.PATH}`
}
