import { MemoryProjection } from '#processor/adapters/memory/projection.ts'
import { projectionContract } from './contract.ts'
import { compiledFor } from './fixture.ts'

projectionContract('memory', async () => {
  const projection = new MemoryProjection(row =>
    row.document && 'surprise' in row.document ? 'surprise is unknown' : null,
  )
  return {
    compiled: compiledFor('memory'),
    projection,
    shown: async ({ id }) => projection.revisions.get(id)?.document ?? null,
  }
})
