/** Bearer tokens of clients. The file holds only their SHA-256 hashes: reading it is not enough to send sales. Pure. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { UserError } from '#pipeline/user-error.ts'

export type Token = { client: string; hash: Buffer }

/** The name is shown in metrics, so it is short and has no spaces. */
export const CLIENT_NAME = /^[A-Za-z0-9][\w.-]{0,62}$/
const LINE = /^([^:]*):([\da-f]{64})$/i
/** So that a search finds tokens that were stored by mistake. */
const PREFIX = 'sp1_'
/** A random token of this length cannot be guessed, so a fast hash is enough. */
const TOKEN_BYTES = 32

/** Returns a new token and its line for the file. */
export function createToken(client: string): { token: string; line: string } {
  const token = PREFIX + randomBytes(TOKEN_BYTES).toString('base64url')
  return { token, line: `${client}:${hashOf(token).toString('hex')}` }
}

/**
 * Parses lines such as `shop-app:<SHA-256 in hexadecimal>`. A client may have several tokens. Empty lines and lines that
 * begin with # are skipped. Throws a UserError with the number of a wrong line, and without its text: it may be a token.
 */
export function parseTokens(text: string): Token[] {
  return text.split('\n').flatMap((untrimmed, i) => {
    const line = untrimmed.trim()
    if (line === '' || line.startsWith('#')) return []
    const [, client = '', hash = ''] = LINE.exec(line) ?? []
    if (!CLIENT_NAME.test(client))
      throw new UserError(
        `line ${i + 1} is not NAME:HASH, a client name and the SHA-256 of its token; create the line with the command "token"`,
      )
    return [{ client, hash: Buffer.from(hash, 'hex') }]
  })
}

/** Returns the client whose token it is, or null. The time that it takes depends only on the number of tokens. */
export function clientOf(tokens: Token[], token: string): string | null {
  const hash = hashOf(token)
  let client: string | null = null
  for (const known of tokens) if (timingSafeEqual(known.hash, hash)) client = known.client
  return client
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
