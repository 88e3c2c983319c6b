/** Installs every server before its first use, so that no timeout includes a download. */
import { installElasticsearch, installKafka } from './services/install.ts'

const log = (line: string) => process.stderr.write(`${line}\n`)
await installKafka(log)
await installElasticsearch(log)
