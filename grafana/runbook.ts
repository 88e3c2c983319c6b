/** Addresses of the runbook, to which alerts and panels link. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const { repository } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'))

/**
 * The page in the project's repository; package.json's `repository.url` is the only place to change. An installer who
 * keeps a copy elsewhere replaces this address in the generated files as plain text, or sets the chart's
 * `monitoring.runbooks`.
 */
export const RUNBOOK: string = `${repository.url}/blob/main/docs/operations.md`

/** Returns the address of an alert's section. */
export const sectionOf = (alert: string) => `${RUNBOOK}#${alert.toLowerCase()}`
