/** Installs every server before its first use, so that no timeout includes a download. */
import { writeLines } from '#common/output.ts'
import { installElasticsearch, installKafka } from './services/install.ts'

const log = (line: string) => writeLines(process.stderr, line)
await installKafka(log)
await installElasticsearch(log)
