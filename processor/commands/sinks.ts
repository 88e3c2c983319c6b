/** `processor/main.ts sinks`, `npm run sinks`: commands for the sinks of a pipeline, beside its workers. */
import yargs from 'yargs'
import { strictly } from '#common/command-line.ts'
import { addRebuild } from './rebuild-command.ts'

/** Resolves with the exit code. */
export async function runSinks(args: string[]): Promise<number> {
  let code = 0
  const commands = yargs(args)
    .scriptName('sinks')
    .usage('$0 <command>\n\nMaintains the projections of a SalesPipeline: the copies of its rows in Elasticsearch.')
    .demandCommand(1, 'No command given. Use rebuild.')
    .epilogue(
      'Exit code: 0 on success, 1 on failure, 2 if the command line or the file is invalid; the message says what to do.',
    )
  await strictly(
    addRebuild(commands, result => (code = result)),
    'sinks --help',
  ).parseAsync()
  return code
}
