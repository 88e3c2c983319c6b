/** Section 5 of the contract, "Several sources": the event time that enough sources have reached. */

export interface SourceRule {
  field: string
  atLeast: number
}

/** Longer values name no source. */
const LONGEST = 128

export class Agreement {
  readonly rule: SourceRule
  /** The event time that `atLeast` sources have reached. */
  time = Number.NEGATIVE_INFINITY
  /** Greatest event times of the sources that are past `time`; fewer than `atLeast`. */
  private ahead = new Map<string, number>()

  constructor(rule: SourceRule) {
    this.rule = rule
  }

  report(source: string | null, time: number): void {
    if (source === null || source.length > LONGEST || time <= this.time) return
    this.ahead.set(source, Math.max(time, this.ahead.get(source) ?? time))
    if (this.ahead.size < this.rule.atLeast) return
    this.time = Math.min(...this.ahead.values())
    this.ahead = new Map([...this.ahead].filter(([, reached]) => reached > this.time))
  }
}
