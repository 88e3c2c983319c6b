import { describe, expect, it } from 'vitest'
import { coverage, farewell } from '#local/start/farewell.ts'
import { readOptions } from '#local/start/options.ts'

const TOTALS = { folder: '.local/shop', sent: 8312, committed: 8309 }

/** Splits a command as a shell would. */
const words = (command: string) =>
  [...command.matchAll(/(?:'[^']*'|\\.|[^\s'])+/g)].map(([word]) => word.replace(/'([^']*)'|\\(.)/g, '$1$2'))

/** Returns what `npm start` reads from each proposed command. Throws if it refuses one. */
function proposed(lines: string[]) {
  return lines.slice(1).map(line => {
    const [npm, start, separator, ...args] = words(line.slice(line.indexOf('npm start')))
    expect([npm, start, separator ?? '--']).toEqual(['npm', 'start', '--'])
    return readOptions(args)
  })
}

describe('the farewell', () => {
  it.each([
    ['', false],
    ['shops/my.yaml', false],
    ["my 'best' shop.yaml", false],
    ['my.yaml', true],
  ])('proposes commands for the same file and the same servers: file %j, external %j', (typedFile, external) => {
    const lines = farewell({ typedFile, external }, TOTALS)
    expect(lines[0]).toMatch(
      /^Stopped\. 8,312 sales sent in this run\. 8,309 records committed in all runs\. .*\.local\/shop\.$/,
    )
    const commands = proposed(lines)
    expect(commands.length).toBeGreaterThan(1)
    for (const options of commands) expect(options).toMatchObject({ typedFile, external })
  })

  it('proposes to start over only where nothing else is deleted', () => {
    const proposals = (external: boolean) =>
      farewell({ typedFile: 'my.yaml', external }, TOTALS).map(line => /^ {2}([a-z ]+):/.exec(line)?.[1])
    expect(proposals(false)).toEqual([undefined, 'continue', 'verify', 'start over'])
    expect(proposals(true)).toEqual([undefined, 'continue', 'verify'])
  })

  it('omits totals that are unknown', () => {
    const [first] = farewell({ typedFile: '', external: false }, { folder: 'x', sent: null, committed: null })
    expect(first).toBe('Stopped. Data is kept in x.')
  })
})

describe('the coverage of a verdict', () => {
  it('names --fresh only where it is allowed', () => {
    expect(coverage({ external: false })).toContain('since the last --fresh')
    expect(coverage({ external: true })).not.toContain('--fresh')
  })
})
