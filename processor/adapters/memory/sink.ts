/** The Sink port in memory, with external versions. Every call takes effect in one synchronous step. */
import type { ProjectedRow, ProjectionFault, Sink } from '#processor/ports.ts'

/** A removed row stays as a tombstone (document null), so that an older write cannot bring it back. */
export type Revision = Pick<ProjectedRow, 'aggregation' | 'version' | 'document'>

export class MemorySink implements Sink {
  readonly name = 'memory'
  /** By document id. */
  readonly revisions = new Map<string, Revision>()
  readonly #rejects: (row: ProjectedRow) => string | null

  /** `rejects` returns why the sink does not accept a row, or null if it does. */
  constructor(rejects: (row: ProjectedRow) => string | null = () => null) {
    this.#rejects = rejects
  }

  async prepare(): Promise<void> {}

  async write(rows: ProjectedRow[]): Promise<ProjectionFault[]> {
    const faults: ProjectionFault[] = []
    for (const row of rows) {
      const { aggregation, id, formerId, version, document } = row
      const error = this.#rejects(row)
      if (error !== null) faults.push({ aggregation, id, version, error })
      else if (version > (this.revisions.get(id)?.version ?? -1n))
        this.revisions.set(id, { aggregation, version, document })
      const former = formerId === null ? undefined : this.revisions.get(formerId)
      if (formerId !== null && former && version >= former.version)
        this.revisions.set(formerId, { aggregation, version, document: null })
    }
    return faults
  }

  async missing(rows: ProjectedRow[]): Promise<ProjectedRow[]> {
    return rows.filter(({ id }) => !this.revisions.get(id)?.document)
  }

  async close(): Promise<void> {}
}
