/** `sinks rebuild` on the command line. */
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { isAdmitted } from '#common/environment.ts'
import { readTextFile } from '#common/files.ts'
import { writeLines } from '#common/output.ts'
import { exitOnSignals } from '#common/run-main.ts'
import { clock } from '#common/world.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { UsageError, UserError } from '#pipeline/user-error.ts'
import { rebuildProjections } from '../rebuild.ts'

const EPILOGUE = `Writes every row of the projection from PostgreSQL to Elasticsearch again: after documents were deleted, or to be sure that none is missing. Workers notice a deleted or emptied index within a minute and rebuild it without this command.

The command only marks the projection in PostgreSQL; the running workers enqueue its rows in batches and write them. Results that change meanwhile are written too, and nothing in PostgreSQL is lost or counted again. You can interrupt the command after it has marked the projection: the workers continue.

It needs access to PostgreSQL only, with SECRET_<NAME>_<KEY> for the Secrets of spec.sinks.postgres, otherwise with PGUSER and PGPASSWORD.

Exit code: 0 if every row is written; 1 if not, for example because no worker runs; 2 if the command line or the file is invalid.`

function options<T>(argv: Argv<T>) {
  return argv
    .option('file', {
      type: 'string',
      demandOption: true,
      describe: 'Path of the SalesPipeline YAML file that the workers run with',
    })
    .option('projection', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Index of the projection to rebuild, as in spec.sinks.elasticsearch.projections',
      defaultDescription: 'all projections',
    })
    .example('$0 rebuild --file pipeline.yaml', 'all projections')
    .example('$0 rebuild --file pipeline.yaml --projection sales-by-store', 'one of them')
    .epilogue(EPILOGUE)
}

type Flags = ReturnType<typeof options> extends Argv<infer F> ? ArgumentsCamelCase<F> : never

export function addRebuild(argv: Argv, onResult: (code: number) => void): Argv {
  return argv.command('rebuild', 'Write all rows of a projection to Elasticsearch again', options, async flags =>
    onResult(await run(flags)),
  )
}

async function run({ file, projection }: Flags): Promise<number> {
  exitOnSignals()
  const pipeline = parsePipeline(readTextFile(file), file, { admitted: isAdmitted(process.env) })
  const indices = indicesOf(pipeline, file, projection)
  const { openPostgresRebuild } = await import('../adapters/postgres/open.ts')
  const rebuild = openPostgresRebuild(pipeline, indices, process.env)
  try {
    const print = (line: string) => writeLines(process.stdout, line)
    return (await rebuildProjections({ rebuild, indices: [...indices], clock, print })) ? 0 : 1
  } finally {
    await rebuild.close()
  }
}

function indicesOf({ spec }: SalesPipeline, file: string, projection: string[] | undefined): Set<string> {
  const known = spec.sinks.elasticsearch?.projections.map(({ index }) => index) ?? []
  if (known.length === 0)
    throw new UserError(`${file} has no spec.sinks.elasticsearch.projections, so there is nothing to rebuild`)
  const unknown = projection?.find(index => !known.includes(index))
  if (unknown !== undefined)
    throw new UsageError(
      `--projection ${unknown}: no projection of ${file} has this index. Its indices are ${known.join(', ')}`,
      'sinks rebuild --help',
    )
  return new Set(projection ?? known)
}
