/** Installs every server before its first use, so that no timeout includes a download. */
import { writeLines } from '#common/output.ts'
import { installElasticsearch } from './services/install.ts'
import { prepareKafka } from './services/kafka.ts'

const log = (line: string) => writeLines(process.stderr, line)
await prepareKafka(log)
await installElasticsearch(log)
