/** Installs every server ahead of its first use, so that a time-out never measures a download. */
import { installElasticsearch, installKafka } from './services/install.ts'

const progress = (line: string) => process.stderr.write(`${line}\n`)
await installKafka(progress)
await installElasticsearch(progress)
