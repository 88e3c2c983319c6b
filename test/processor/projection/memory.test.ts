import { MemorySink } from '#processor/adapters/memory/sink.ts'
import { projectionContract } from './contract.ts'
import { compiledFor } from './fixture.ts'

projectionContract('memory', async () => {
  const sink = new MemorySink(row => (row.document && 'surprise' in row.document ? 'surprise is unknown' : null))
  return {
    compiled: compiledFor('memory'),
    sink,
    shown: async ({ id }) => sink.revisions.get(id)?.document ?? null,
  }
})
