/** `npm start`, from the checked arguments to the exit code. */
import { relative } from 'node:path'
import { readTextFile } from '#common/files.ts'
import { lockFolder } from '#local/services/lock.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { type Ending, runBounded } from './bounded.ts'
import { farewell, type Totals } from './farewell.ts'
import { type DataFolder, dataFolder, prepareFolder } from './folder.ts'
import { Interrupted, Interruption } from './interruption.ts'
import type { Options } from './options.ts'
import { Screen } from './screen.ts'
import { type Setting, Stage } from './stage.ts'

/** 128 + SIGINT, as shells report it. */
const KILLED = 130

/** Resolves with the exit code. Throws a UserError before anything is started; prints every later failure and returns 1. */
export async function run(options: Options): Promise<number> {
  const text = readTextFile(options.file)
  const pipeline = parsePipeline(text, options.typedFile || relative('', options.file))
  const folder = dataFolder(pipeline, options.external)
  const unlock = await lockFolder(folder.path, 'npm start')
  process.once('exit', unlock)
  await prepareFolder(folder, options.fresh)
  const screen = new Screen(process.stdout)
  const interruption = new Interruption(() => {
    stage.killHard()
    process.exit(KILLED)
  })
  const setting: Setting = { options, text, folder, screen, interruption }
  const stage = new Stage(setting)
  const { code, closing } = await runUntilEnd(stage, setting)
  await stage.takeDown()
  for (const line of closing()) screen.log(line)
  return code
}

async function runUntilEnd(stage: Stage, setting: Setting): Promise<Ending> {
  const { options, folder, interruption } = setting
  try {
    const running = await stage.bringUp()
    if (options.forMs !== undefined) return await runBounded(stage, setting, running)
    stage.phase = 'running'
    running.load?.start()
    return await interruption.ended
  } catch (error) {
    if (!(error instanceof Interrupted)) return { code: 1, closing: () => ['', reasonOf(error as Error)] }
    if (options.forMs !== undefined)
      return { code: 1, closing: () => ['', 'Interrupted: the results were not verified.'] }
    return { code: 0, closing: () => farewell(options, totalsOf(stage, folder)) }
  }
}

/** An AggregateError, such as that of a refused connection to several addresses, has no message of its own. */
function reasonOf(error: Error): string {
  const inner = error instanceof AggregateError ? (error.errors as Error[]).map(reasonOf) : []
  return error.message || inner.join('; ') || `${error.name}, without a message`
}

function totalsOf({ lastObservation }: Stage, folder: DataFolder): Totals {
  const { sending, committed } = lastObservation ?? {}
  return { folder: relative('', folder.path), sent: sending?.sent ?? null, committed: committed?.records ?? null }
}
