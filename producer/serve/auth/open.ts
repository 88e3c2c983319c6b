/** Prepares what the flags of `producer serve` ask for to recognize clients. */
import type { SecureContextOptions } from 'node:tls'
import { LOOPBACK_HOST, PROTECTED_NODE } from '#pipeline/admission.ts'
import { UserError } from '#pipeline/user-error.ts'
import { type Authenticate, authenticator } from './authenticate.ts'
import type { JwtOptions } from './jwt.ts'
import { Reloaded, type Report, readMounted } from './reloaded.ts'
import { openTls, type TlsFiles } from './tls.ts'
import { parseTokens, type Token } from './tokens.ts'

export type AuthOptions = {
  /** File or folder with the hashes of the tokens. */
  tokens?: string
  jwt?: JwtOptions
  tls?: TlsFiles
  /** Whether tokens may arrive without encryption from other machines. */
  insecure: boolean
}

export type Auth = {
  /** Null accepts requests of anyone. */
  authenticate: Authenticate | null
  /** Null: no encryption. */
  tls: ServerTls | null
  close(): void
}

export type ServerTls = SecureContextOptions & {
  /** Whether clients are asked for a certificate. */ requestCert: boolean
}

type Hooks = { report: Report /** Called when TLS certificates changed. */; onTls(context: SecureContextOptions): void }

/** Rejects with a UserError. `host`: the address that the ingest listens on. */
export async function openAuth(options: AuthOptions, host: string, { report, onTls }: Hooks): Promise<Auth> {
  checkEncryption(options, host)
  const { tokens, jwt, tls } = options
  const file = tokens === undefined ? null : await openTokens(tokens, report)
  const verifyJwt = jwt ? (await import('./jwt.ts')).jwtVerifier(jwt) : null
  const certificates = tls?.clientCa !== undefined
  const context = tls ? await openTls(tls, report, onTls) : null
  return {
    authenticate:
      file || verifyJwt || certificates
        ? authenticator({ tokens: file && (() => file.value), verifyJwt, certificates })
        : null,
    tls: context && { ...context.value, requestCert: certificates },
    close() {
      file?.close()
      context?.close()
    },
  }
}

function checkEncryption({ tokens, jwt, tls, insecure }: AuthOptions, host: string): void {
  if (insecure) return
  if (jwt && !PROTECTED_NODE.test(jwt.jwksUrl))
    throw new UserError(
      `--jwks-url ${jwt.jwksUrl} would be fetched without encryption, so others could replace the keys. Use https://, or set --insecure if this is intended`,
    )
  if ((tokens !== undefined || jwt) && !tls && !LOOPBACK_HOST.test(host))
    throw new UserError(
      `--host ${host} receives tokens of other machines without encryption. Set --tls-cert and --tls-key; or set --insecure if this is intended, for example because an Ingress terminates TLS`,
    )
}

async function openTokens(path: string, report: Report): Promise<Reloaded<Token[]>> {
  const summary = (tokens: Token[]) => ({
    path,
    hashes: tokens.length,
    clients: new Set(tokens.map(t => t.client)).size,
  })
  return Reloaded.open<Token[]>({
    read: () => readMounted(path),
    parse: text => naming(path, () => parseTokens(text)),
    onChange: value => report('info', 'reloaded tokens', summary(value)),
    onFault: message => report('warn', 'cannot reload tokens; the last ones stay valid', { reason: message }),
  })
}

function naming<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new UserError(`cannot use ${path}; ${(error as Error).message}`, { cause: error })
  }
}
