/**
 * Finds out why a broker closes encrypted connections. With TLS 1.3, a server refuses a client certificate only after the
 * handshake, and the Kafka client drops the alert: its requests fail with "Connection closed".
 */
import { connect } from 'node:tls'
import { nestedErrors } from './error-causes.ts'
import type { KafkaConnection } from './kafka-connection.ts'

const CLOSED = /^(Connection closed|no Kafka broker responded)/
/** A busy broker answers within this time, ms. */
const ANSWER_WITHIN_MS = 10_000
/** ApiVersions, version 0, without a client id: every broker answers it, before any authentication. */
const REQUEST = Buffer.from('0000000a0012000000000001ffff', 'hex')

/** Resolves with the broker's TLS alert if it explains `error`, else with `error`. Never rejects. */
export async function explainClosed(error: unknown, connection: KafkaConnection): Promise<unknown> {
  const { bootstrapBrokers, tls } = connection
  const isClosed = nestedErrors(error).innermost.some(e => CLOSED.test((e as Error | undefined)?.message ?? ''))
  if (!tls || !isClosed) return error
  const [host, port] = bootstrapBrokers[0]!.split(/:(?=\d+$)/)
  return (await alertOf(host!, Number(port), tls)) ?? error
}

function alertOf(host: string, port: number, tls: NonNullable<KafkaConnection['tls']>): Promise<Error | null> {
  return new Promise(resolve => {
    const socket = connect({ ...tls, host, port })
    const end = (error: Error | null) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(error)
    }
    const timer = setTimeout(end, ANSWER_WITHIN_MS, null)
    socket.on('error', error => end(isAlert(error) ? named(error) : null))
    socket.on('data', () => end(null))
    socket.on('close', () => end(null))
    socket.write(REQUEST)
  })
}

const isAlert = (error: NodeJS.ErrnoException) => error.code?.startsWith('ERR_SSL') ?? false

/** The message of OpenSSL names its source files. */
function named(error: NodeJS.ErrnoException): Error {
  const alert = /alert ([a-z ]+)/.exec(error.message)?.[1]
  return alert ? Object.assign(new Error(`TLS alert of the broker: ${alert}`), { code: error.code }) : error
}
