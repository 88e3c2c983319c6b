/**
 * Counts the records of one commit that agree with their partition's watermark, and those that it makes late although they
 * arrive in time. It changes no verdict: it finds a watermark that few records move (condition WatermarkFarAhead).
 */

/** The last record that moved the watermark, and the event time that the watermark follows since then. */
export type Lead = { offset: number; eventTime: number }

export class Support {
  /** The watermark advanced by more than outOfOrderness in one step. The figures count from that record on. */
  jumped = false
  /** Records whose event time is not before the watermark. */
  agreeing = 0
  /** Late events whose event time is at most outOfOrderness + allowedLateness before the timestamp of their record. */
  late = 0
  /** Greatest event time of these; −Infinity: none. */
  latestLate = Number.NEGATIVE_INFINITY

  /** Call it for each non-dead record, before noteLate. `step`: how far the watermark advances. */
  note(eventTime: number, watermark: number, step: number, outOfOrderness: number): void {
    if (step > outOfOrderness) {
      this.jumped = true
      this.agreeing = 0
      this.late = 0
      this.latestLate = Number.NEGATIVE_INFINITY
    }
    if (eventTime >= watermark) this.agreeing++
  }

  noteLate(eventTime: number): void {
    this.late++
    this.latestLate = Math.max(this.latestLate, eventTime)
  }
}
