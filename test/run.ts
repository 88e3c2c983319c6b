/** `npm test`: every test that needs nothing but Node, Java and Maven. Arguments go on to vitest (files, -t name …). */
import { parseCLI, startVitest } from 'vitest/node'
import { installElasticsearch, installKafka } from '#local/services/install.ts'

const progress = (line: string) => process.stderr.write(`${line}\n`)
// Ahead of the tests, so that no time-out measures a download.
await installKafka(progress)
await installElasticsearch(progress)

const args = process.argv.slice(2)
// test/root needs root or Debian packages, test/cluster a cluster with our images: only .ci/run, or who names one, runs it.
const excluded = ['test/root', 'test/cluster'].filter(folder => !args.some(arg => arg.startsWith(folder)))
const exclude = excluded.flatMap(folder => ['--exclude', `${folder}/**`])
const { filter, options } = parseCLI(['vitest', 'run', ...exclude, ...args])
const vitest = await startVitest(filter, options)
await vitest.exit()
