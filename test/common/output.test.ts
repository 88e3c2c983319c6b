import { globSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { printable, printableLines, writeLines } from '#common/output.ts'
import { HOSTILE, UNSAFE } from '#test/support/hostile.ts'
import { check } from '#test/support/properties.ts'

describe('printable', () => {
  it('escapes every character that controls a terminal, and changes no other text', () => {
    expect(printable('Größe 10 €, 日本 👩‍👩‍👧 \\ "quoted"')).toBe('Größe 10 €, 日本 👩‍👩‍👧 \\ "quoted"')
    expect(printable('a\x1b[2Jb\x9bc\x7fd\u202ee\u2066f\nOK\t\r')).toBe(
      'a\\u001b[2Jb\\u009bc\\u007fd\\u202ee\\u2066f\\nOK\\t\\r',
    )
    expect(printable(HOSTILE)).not.toMatch(UNSAFE)
  })

  it('keeps lines apart, and keeps JSON valid with the same content', () => {
    expect(printableLines('first\nsecond\x07')).toBe('first\nsecond\\u0007')
    check(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const json = printableLines(JSON.stringify({ text }, null, 2))
        expect(JSON.parse(json)).toEqual({ text })
        expect(json.replaceAll('\n', '')).not.toMatch(UNSAFE)
      }),
    )
  })

  it('writes escaped lines', () => {
    let written = ''
    writeLines({ write: text => (written += text) }, `first${HOSTILE}\nsecond`)
    expect(written.replaceAll('\n', '')).not.toMatch(UNSAFE)
    expect(written.endsWith('\nsecond\n')).toBe(true)
  })
})

describe('the programs that people use', () => {
  /** Files that write control sequences of their own, or run before the packages are installed. */
  const MAY_WRITE = ['chaos/live.ts', 'local/bootstrap.mjs', 'local/start/screen.ts', 'verify/output.ts']
  const sources = globSync('{chaos,common,images,local,operator,processor,producer,verify}/**/*.{ts,mjs}')
  const writers = sources.filter(file =>
    /process\.(stdout|stderr)\.write\(|#out\.write\(|console\.\w+\(/.test(readFileSync(file, 'utf8')),
  )

  it('write texts only through the functions that escape', () => {
    expect(sources.length).toBeGreaterThan(100)
    expect(writers.sort()).toEqual(MAY_WRITE)
  })
})
