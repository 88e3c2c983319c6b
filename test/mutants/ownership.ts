/** Faults in how documents, indices and templates of several owners are kept apart (contract, section 4). */
import type { Mutant } from './engine.ts'

const OWNERSHIP = 'test/processor/projection/ownership.test.ts'

export const OWNERSHIP_MUTANTS: Mutant[] = [
  {
    name: 'a schema of release 0.3.0 is taken by its name, also that of another owner',
    file: 'common/schema-place.ts',
    find: 'found.rows[0]?.owner === owner ? former : name',
    plant: 'found ? former : name',
    test: 'test/processor/store/postgres-place.test.ts',
    turnsRed: 'gives two pipelines two schemas',
  },
  {
    name: 'two pipelines get one schema name',
    file: 'pipeline/identity.ts',
    find: '.slice(0, MAX_IDENTIFIER - suffix.length) + suffix',
    plant: '.slice(0, MAX_IDENTIFIER)',
    test: 'test/pipeline/identity.test.ts',
    turnsRed: 'gives no two pipelines one schema',
  },
  {
    name: 'document ids without the owner',
    file: 'processor/adapters/projected-row.ts',
    find: 'id: idPrefix(owner) + key',
    plant: 'id: key',
    test: 'test/processor/store/memory.test.ts',
    turnsRed: 'returns the rows of commits as documents',
  },
  {
    name: 'projection into the index of another owner',
    file: 'processor/adapters/elasticsearch/ownership.ts',
    find: 'throw refused(kind, other, claimed)',
    plant: 'return "adopted"',
    test: OWNERSHIP,
    turnsRed: 'refuses the second by name before its first write',
  },
  {
    name: 'index template that another owner creates at the same moment, used without a look at its mark',
    file: 'processor/adapters/elasticsearch/sink.ts',
    find: "if (judged === 'absent') await this.#judgeTemplate(name, claimed)",
    plant: '',
    test: 'test/processor/projection/race.test.ts',
    turnsRed: 'refuses an index template that another pipeline creates',
  },
  {
    name: 'documents of release 0.3.0 kept under their old ids',
    file: 'processor/adapters/elasticsearch/bulk.ts',
    find: 'if (id === null) return [written]',
    plant: 'return [written]',
    test: OWNERSHIP,
    turnsRed: 'leaves no document under an old one',
  },
  {
    name: 'removal of all documents of an adopted index',
    file: 'processor/adapters/elasticsearch/documents.ts',
    find: '_id?.startsWith(prefix) ? _id : []',
    plant: '_id ?? []',
    test: 'test/processor/removal/elasticsearch.test.ts',
    turnsRed: 'removes only its own documents from an adopted index',
  },
  {
    name: 'removal of an index that only has the name of the pipeline in its mark',
    file: 'processor/adapters/elasticsearch/removal.ts',
    find: 'if (found.every(({ mark }) => mark === owner)) {',
    plant: 'if (found.every(({ mark }) => mark !== null && owner.startsWith(mark))) {',
    test: 'test/processor/removal/elasticsearch.test.ts',
    turnsRed: 'keeps an index and a template of release 0.3.0',
  },
]
