/** Runs programs that log and exit at once, while Node's pool of background threads is busy. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

const LOGS = {
  processor: `
    import { createLogger } from '${root}/common/logger.ts'
    const logger = createLogger('info', {})
    const log = text => logger.info(text)`,
  operator: `
    import { createLog } from '${root}/operator/telemetry.ts'
    const operatorLog = createLog('info', 'a')
    const log = text => operatorLog('info', text)`,
}
/** A line that is written in the background would wait for this key. */
const LOG_AND_EXIT = `
    import { pbkdf2 } from 'node:crypto'
    pbkdf2('a', 'b', 2_000_000, 64, 'sha512', () => {})
    for (const text of ['first', 'second', 'last']) log(text)
    process.exit(0)`

it.each(Object.entries(LOGS))(
  'the log of the %s is complete and in order when the process exits',
  async (_, create) => {
    const args = ['--input-type=module', '--eval', create + LOG_AND_EXIT]
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' }
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env })
    const lines = stdout
      .split('\n')
      .filter(Boolean)
      .map(text => JSON.parse(text))
    expect(lines.map(({ msg }) => msg)).toEqual(['first', 'second', 'last'])
    // One format for all programs: a query for errors finds those of each.
    for (const line of lines) expect(line).toMatchObject({ level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/) })
  },
)
