/** Runs before each file of unit tests. They share a process, and a secret of one file may be a word in another. */
import { forgetSecrets } from '#common/redact.ts'

forgetSecrets()
