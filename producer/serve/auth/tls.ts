/** Encryption of the ingest's port, and the names of clients in their certificates. */
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { UserError } from '#pipeline/user-error.ts'
import { isClientName, MAX_CLIENT_NAME } from './client-name.ts'
import { Reloaded, type Report, readMounted } from './reloaded.ts'

/** Files in PEM format. */
export type TlsFiles = {
  cert: string
  key: string
  /** Authorities of clients' certificates. Without it, clients are not asked for one. */
  clientCa?: string
}

/** `onChange` gets the new certificates after a file changed. Rejects with a UserError. */
export function openTls(
  { cert, key, clientCa }: TlsFiles,
  report: Report,
  onChange: (context: SecureContextOptions) => void,
): Promise<Reloaded<SecureContextOptions>> {
  const files = [cert, key, ...(clientCa === undefined ? [] : [clientCa])]
  return Reloaded.open<SecureContextOptions>({
    read: async () => JSON.stringify(await Promise.all(files.map(readMounted))),
    parse: text => contextOf(JSON.parse(text), files),
    onChange(context) {
      report('info', 'reloaded TLS certificates', { files })
      onChange(context)
    },
    onFault: reason => report('warn', 'cannot reload TLS certificates; the last ones stay in use', { reason }),
  })
}

/** Throws a UserError if the texts are not certificates and keys, or do not match. */
function contextOf([cert, key, ca]: string[], files: string[]): SecureContextOptions {
  const context = { cert: cert!, key: key!, ...(ca !== undefined && { ca }) }
  try {
    createSecureContext(context)
  } catch (error) {
    throw new UserError(
      `cannot use ${files.join(', ')} for TLS: ${(error as Error).message}. Set files in PEM format, with a key that belongs to the certificate`,
      { cause: error },
    )
  }
  return context
}

type Identity = { client: string | null /** Why a certificate that was sent is not accepted. */; fault: string | null }

/** Reading a certificate takes longer than a request, so its name is kept with the connection. */
const identities = new WeakMap<Socket, Identity>()

export function identityOf(socket: Socket): Identity {
  const known = identities.get(socket) ?? readIdentity(socket as TLSSocket)
  identities.set(socket, known)
  return known
}

/** A resumed connection counts as authorized even without a certificate, so only one with a name is accepted. */
function readIdentity(socket: TLSSocket): Identity {
  const { subject } = socket.getPeerCertificate()
  if (!subject) return { client: null, fault: null }
  if (!socket.authorized) return { client: null, fault: String(socket.authorizationError) }
  const name = subject.CN
  if (isClientName(name)) return { client: name, fault: null }
  return { client: null, fault: `its subject has no common name (CN) of at most ${MAX_CLIENT_NAME} characters` }
}
