/** `npm run kibana`: writes saved-objects.ndjson. A test fails when the file is out of date. */
import { runGenerator } from '#common/generator.ts'
import { savedObjects } from './objects.ts'

export const SAVED_OBJECTS_FILE = `${import.meta.dirname}/saved-objects.ndjson`

/** Returns one JSON object per line, as Kibana exports them. */
export const savedObjectsFile = () =>
  savedObjects()
    .map(object => `${JSON.stringify(object)}\n`)
    .join('')

if (import.meta.main) await runGenerator(() => [[SAVED_OBJECTS_FILE, savedObjectsFile()]])
