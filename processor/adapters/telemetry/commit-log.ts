/** The commit log (docs/tables.md): one JSON line per acknowledged commit, from which end-to-end delays are measured. */
import { appendFileSync, closeSync, openSync } from 'node:fs'
import type { Commit } from '#processor/core/commit.ts'

export type CommitLog = {
  /** Writes the line before it returns. Throws the file system's errors, because a gap would falsify the figures. */
  append(commit: Commit, at: number): void
  close(): void
}

/** Opens `file` for appending and creates it if it is missing. */
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
