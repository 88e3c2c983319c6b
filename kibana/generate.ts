/** `npm run kibana`: writes saved-objects.ndjson. A test fails when the file is out of date. */
import { writeFileSync } from 'node:fs'
import { savedObjects } from './objects.ts'

export const SAVED_OBJECTS_FILE = `${import.meta.dirname}/saved-objects.ndjson`

/** Returns one JSON object per line, as Kibana exports them. */
export const savedObjectsFile = () =>
  savedObjects()
    .map(object => `${JSON.stringify(object)}\n`)
    .join('')

if (import.meta.main) writeFileSync(SAVED_OBJECTS_FILE, savedObjectsFile())
