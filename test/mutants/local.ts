import type { Mutant } from './engine.ts'

export const LOCAL_MUTANTS: Mutant[] = [
  {
    name: 'process that counts as finished whenever it exits with code 0',
    file: 'local/start/children.ts',
    find: 'if (code === 0 && this.spec.isFinished?.()) {',
    plant: 'if (code === 0) {',
    test: 'test/local/start/children.test.ts',
    turnsRed: 'restarts after SIGTERM from someone else',
  },
  {
    name: 'control characters of data that reach the terminal',
    file: 'local/start/view.ts',
    find: "if (typeof value === 'string') return printable(value) as T",
    plant: '',
    test: 'test/local/start/screen.test.ts',
    turnsRed: 'escapes control characters of data in the view',
  },
  {
    name: 'advice of --fresh on servers that are not ours',
    file: 'local/start/farewell.ts',
    find: '...(mode.external ? [] : [',
    plant: '...(mode.external && false ? [] : [',
    test: 'test/local/start/farewell.test.ts',
    turnsRed: 'proposes commands for the same file and the same servers',
  },
]
