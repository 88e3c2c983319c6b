/** HTTP requests with the TLS settings of a document, which fetch does not accept. */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

/** PEM texts. Without `ca`, the authorities of this process are trusted. */
export interface TlsSettings {
  ca?: string
  cert?: string
  key?: string
}

export interface HttpRequest {
  method: string
  headers: Record<string, string>
  body: string | null
  tls?: TlsSettings
}

/** Resolves with every status. Rejects when the server cannot be reached. */
export function exchange(
  target: URL,
  { method, headers, body, tls }: HttpRequest,
): Promise<{ status: number; text: string }> {
  const request = target.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const sent = request(target, { method, headers, ...tls })
    sent.on('response', response =>
      readText(response).then(text => resolve({ status: response.statusCode!, text }), reject),
    )
    sent.on('error', reject)
    sent.end(body ?? undefined)
  })
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
