/** Compares the records that the load generator announced with the records in the topic. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

type Sent = ['s', number, string[]]
type Acknowledged = ['a', number, number, number, number[]]

const MAX_EXAMPLES = 5

export class Journal {
  sent = 0
  acknowledged = 0
  /** Records of the topic that are in no journal. */
  foreign = 0
  readonly examples: string[] = []
  /** Hash → number of announced records that are not found in the topic yet. */
  private readonly announced = new Map<string, number>()
  /** `partition/offset` → hash of an acknowledged record that is not found in the topic yet. */
  private readonly awaited = new Map<string, string>()

  /** Checks off a record of the topic. */
  checkOff(partition: number, offset: number, key: Buffer | null, value: Buffer | null): void {
    const hash = recordHash(key, value)
    const place = `${partition}/${offset}`
    if (this.awaited.get(place) === hash) this.awaited.delete(place)
    const left = this.announced.get(hash) ?? 0
    if (left > 0) {
      this.announced.set(hash, left - 1)
      return
    }
    this.foreign++
    this.note(
      `foreign record at partition/offset ${place}: ${hash} is in no journal; run every producer with --journal`,
    )
  }

  /** Returns how many acknowledged records are not at their offset. Call it after the whole topic was read. */
  lostFromLog(): number {
    for (const [place, hash] of this.awaited)
      this.note(
        `lost: Kafka acknowledged record ${hash} at partition/offset ${place}, but the topic does not have this record at that offset. Check retention and unclean leader election`,
      )
    return this.awaited.size
  }

  announce(hash: string): void {
    this.sent++
    this.announced.set(hash, (this.announced.get(hash) ?? 0) + 1)
  }

  acknowledge(partition: number, offset: number, hash: string): void {
    this.acknowledged++
    this.awaited.set(`${partition}/${offset}`, hash)
  }

  private note(example: string): void {
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(example)
  }
}

/** Returns the first 16 hex digits of the SHA-256 of key, a 0 byte, value. A null value is hashed as `null`. */
export function recordHash(key: Buffer | null, value: Buffer | null): string {
  const hash = createHash('sha256')
  hash.update(key ?? '')
  hash.update(Buffer.of(0))
  hash.update(value ?? 'null')
  return hash.digest('hex').slice(0, 16)
}

/** Reads every `*.jsonl` of a folder. Rejects when there is none. */
export async function readJournal(folder: string): Promise<Journal> {
  const journal = new Journal()
  const files = (await readdir(folder)).filter(name => name.endsWith('.jsonl')).sort()
  if (files.length === 0) throw new Error(`no journal (*.jsonl) in folder ${folder}`)
  for (const file of files) await readJournalFile(join(folder, file), journal)
  return journal
}

async function readJournalFile(path: string, journal: Journal): Promise<void> {
  const hashes: string[] = []
  for await (const entry of readJsonLines<Sent | Acknowledged>(path)) {
    if (entry[0] === 's') {
      entry[2].forEach((hash, index) => {
        hashes[entry[1] + index] = hash
        journal.announce(hash)
      })
      continue
    }
    const [, first, partition, offset, indexes] = entry
    indexes.forEach((index, place) => {
      journal.acknowledge(partition, offset + place, hashes[first + index]!)
    })
  }
}

/** Yields one value per line. Skips a line that a kill cut off in mid-write. */
export async function* readJsonLines<T>(path: string): AsyncGenerator<T> {
  for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) {
    const value = parseLine<T>(line)
    if (value !== undefined) yield value
  }
}

function parseLine<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T
  } catch {
    return undefined
  }
}
