/** Where alerts and panels send whoever is on call. */

/**
 * Stands for the place where a reader's copy of docs/operations.md is: whoever installs the files puts the real address
 * in its place, by plain text replacement. The domain is one that never exists (RFC 2606).
 */
export const RUNBOOK = 'https://runbook.example/docs/operations.md'

/** The section of an alert. */
export const sectionOf = (alert: string) => `${RUNBOOK}#${alert.toLowerCase()}`
