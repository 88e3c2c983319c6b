import type { WriteStream } from 'node:tty'
import { describe, expect, it } from 'vitest'
import { Screen } from '#local/start/screen.ts'
import { HOSTILE, UNSAFE } from '#test/support/hostile.ts'

/** The sequences of the screen itself: cursor, clear, home, ends of lines. */
const OURS = /\x1b\[(\?25[lh]|2J|H|K|J)/g

const view = {
  name: `shop${HOSTILE}`,
  phase: 'running',
  elapsedMs: 1000,
  now: 1e12,
  sending: null,
  committed: { rate: 1, records: 1, dead: 0, duplicate: 0, late: { by_store: 1 }, toProject: 0 },
  lag: 0,
  watermark: null,
  delay: null,
  tables: [{ name: 'summary', columns: ['window', 'category'], rows: [['now', `books${HOSTILE}`]] }],
  workers: [
    {
      name: 'worker-1',
      state: 'running',
      partitions: 1,
      rate: 1,
      busy: 0,
      restarts: 0,
      reasons: [`StoreUnavailable: ${HOSTILE}`],
      metrics: '',
    },
  ],
  addresses: [['Kafka', `127.0.0.1${HOSTILE}`]] as [string, string][],
}

function screen(isTTY: boolean) {
  const out = { isTTY, columns: 2000, rows: 100, text: '', write: (text: string) => (out.text += text) }
  return { out, screen: new Screen(out as never as WriteStream) }
}

describe.each([
  ['a terminal', true],
  ['a file', false],
])('the screen on %s', (_, isTTY) => {
  it('escapes control characters of data in the view, in messages and in the verdict', () => {
    const { out, screen: shown } = screen(isTTY)
    shown.log(`before${HOSTILE}`)
    shown.show(view)
    shown.log(`news${HOSTILE}`)
    shown.show({ ...view, now: view.now + 6000 })
    shown.close()
    shown.log(`verdict${HOSTILE}`)
    for (const text of ['before', 'running', 'StoreUnavailable', 'news', 'verdict']) expect(out.text).toContain(text)
    expect(out.text).toContain('\\u001b[2J')
    expect(out.text.replaceAll(isTTY ? OURS : /(?!)/g, '').replaceAll('\n', '')).not.toMatch(UNSAFE)
  })
})
