/** A partition's stored progress, and the claim that a worker starts reading from. */

/** A partition's row after a claim, or when a commit's outcome is determined. Event times in ms; null: none yet. */
export type Progress = {
  partition: number
  epoch: number
  token: string
  /** First offset that was not counted yet. */
  nextOffset: number
  /** Lines of the record at nextOffset that are counted already; 0: none. */
  nextLine: number
  /** Where reading starts to rebuild the deduplication set. */
  restoreOffset: number
  /** Greatest event time of the non-dead records before restoreOffset. */
  restoreMaxEventTime: number | null
  /** Greatest event time of the non-dead records before nextOffset. */
  maxEventTime: number | null
  /** What SourceTimes returned after the record before nextOffset; null without spec.watermark.sources. */
  sources: string | null
  /** Leader epoch of the record before nextOffset; null: unknown. */
  leaderEpoch: number | null
}

/** A range of the log that was, or is, counted under one generation of the spec. */
export type SpecSegment = {
  fromOffset: number
  generation: number
  /** The whole SalesPipeline document of that generation, defaults applied, as JSON. */
  specJson: string
}

export type Claim = Progress & {
  /** Oldest first; the last one is the generation to count with. */
  segments: SpecSegment[]
  /** True if the rest of the record at nextOffset must be counted under the generation before that of the claim. */
  finishesRecord: boolean
  /** Offsets at or after restoreOffset that were dead-lettered as store_rejected: dead again when re-read. */
  rejectedOffsets: number[]
}
