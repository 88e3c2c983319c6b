/** The commit log (docs/tables.md): one JSON line per acknowledged commit, the raw samples of end-to-end delay. */
import { appendFileSync, closeSync, openSync } from 'node:fs'
import type { Commit } from '#processor/core/commit.ts'

export type CommitLog = {
  /** The line is in the file when this returns. Throws what the file system throws: a gap would falsify the figures. */
  append(commit: Commit, at: number): void
  close(): void
}

/** Appends to `file`, which is created where it is missing. */
export function openCommitLog(file: string, worker: string): CommitLog {
  const fd = openSync(file, 'a')
  return {
    append(commit, at) {
      const partitions = commit.partitions.map(p => [p.partition, p.fromOffset, p.nextOffset])
      appendFileSync(fd, `${JSON.stringify({ at, worker, partitions })}\n`)
    },
    close: () => closeSync(fd),
  }
}
