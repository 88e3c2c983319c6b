/** A small identity provider: a token endpoint over HTTPS, and the public keys over HTTP. */
import { createServer as createHttp, type RequestListener, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

export const CLIENT = { id: 'shop client', secret: 'shop+secret:1' }

export type TokenEndpoint = {
  url: string
  keysUrl: string
  /** Bodies of the requests. */
  requests: string[]
  /** Number of tokens that were issued. */
  issued: number
  /** Lifetime of the next tokens. */
  lifetimeSeconds: number
  /** Answers every request with this until it is null again. */
  refusal: { status: number; text: string } | null
  sign(lifetimeSeconds: number, audience?: string): Promise<string>
  close(): Promise<void>
}

export async function startTokenEndpoint(tls: { cert: string; key: string }): Promise<TokenEndpoint> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] }
  const servers: Server[] = []
  const sign = (lifetimeSeconds: number, audience = 'kafka') =>
    new SignJWT({ scope: 'kafka' })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setSubject('shop')
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${lifetimeSeconds}s`)
      .sign(privateKey)
  const endpoint: TokenEndpoint = {
    url: '',
    keysUrl: '',
    requests: [],
    issued: 0,
    lifetimeSeconds: 3600,
    refusal: null,
    sign,
    async close() {
      for (const server of servers) server.closeAllConnections()
      await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
    },
  }
  const answer: RequestListener = async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    endpoint.requests.push(body)
    const { status, text } = endpoint.refusal ?? (await issue(endpoint, request.headers.authorization))
    response.writeHead(status).end(text)
  }
  servers.push(
    createHttps(tls, answer),
    createHttp((_, response) => response.end(JSON.stringify(keys))),
  )
  const [tokenPort, keysPort] = await Promise.all(servers.map(listen))
  return Object.assign(endpoint, {
    url: `https://127.0.0.1:${tokenPort}/token`,
    keysUrl: `http://127.0.0.1:${keysPort}/keys`,
  })
}

async function issue(endpoint: TokenEndpoint, authorization = ''): Promise<{ status: number; text: string }> {
  const sent = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()
  const [id, secret] = sent.split(':').map(part => decodeURIComponent(part.replaceAll('+', ' ')))
  // A provider may echo what it was sent, so a wrong secret must not be shown either.
  if (id !== CLIENT.id || secret !== CLIENT.secret) return { status: 401, text: `invalid_client secret ${secret}` }
  endpoint.issued++
  const { lifetimeSeconds } = endpoint
  const token = await endpoint.sign(lifetimeSeconds)
  return { status: 200, text: JSON.stringify({ access_token: token, expires_in: lifetimeSeconds }) }
}

function listen(server: Server): Promise<number> {
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}
