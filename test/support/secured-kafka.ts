/** One real broker with three listeners: without security, with client certificates, and with SASL OAUTHBEARER. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '#local/services/host.ts'
import { hasBroker, launchKafka, prepareKafka, singleNode } from '#local/services/kafka.ts'
import { ServerProcess } from '#local/services/process.ts'
import type { Certificates } from './certificates.ts'
import { temporaryFolder } from './services.ts'
import { startTokenEndpoint, type TokenEndpoint } from './token-endpoint.ts'

export type SecuredKafka = {
  /** host:port of each listener. */
  plain: string
  certificate: string
  oauth: string
  tokens: TokenEndpoint
  stop(): Promise<void>
}

/** Uses ca.crt, server.crt and server.key of `certificates`. */
export async function securedKafka(certificates: Certificates): Promise<SecuredKafka> {
  const jars = await prepareKafka(() => {})
  const dataDir = temporaryFolder('secured-kafka')
  const keystore = join(dataDir, 'keystore.pem')
  writeFileSync(keystore, certificates.pem('server.key') + certificates.pem('server.crt'))
  const tokens = await startTokenEndpoint({ cert: certificates.pem('server.crt'), key: certificates.pem('server.key') })
  const [plain, controller, certificate, oauth] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const properties = withListeners(singleNode(plain, controller), { certificate, oauth }, tokens, {
    keystore,
    truststore: certificates.path('ca.crt'),
  })
  const server = new ServerProcess({
    name: 'Kafka',
    dataDir,
    temporary: true,
    async prepare() {
      const launch = await launchKafka(jars, dataDir, plain, properties)
      const allowed = `-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${tokens.keysUrl}`
      return { ...launch, args: [allowed, ...launch.args] }
    },
    isReady: () => hasBroker(`127.0.0.1:${plain}`),
    readyWithinMs: 180_000,
  })
  await server.start()
  const at = (port: number) => `127.0.0.1:${port}`
  return {
    plain: at(plain),
    certificate: at(certificate),
    oauth: at(oauth),
    tokens,
    async stop() {
      await server.kill()
      await tokens.close()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

function withListeners(
  properties: string,
  ports: { certificate: number; oauth: number },
  tokens: TokenEndpoint,
  stores: { keystore: string; truststore: string },
): string {
  const more = `,CERTIFICATE://127.0.0.1:${ports.certificate},OAUTH://127.0.0.1:${ports.oauth}`
  const listening = properties
    .replace(/^(listeners|advertised\.listeners)=.*$/gm, line => line + more)
    .replace(/^listener\.security\.protocol\.map=.*$/m, line => `${line},CERTIFICATE:SSL,OAUTH:SASL_SSL`)
  const oauth = 'org.apache.kafka.common.security.oauthbearer'
  return `${listening}
ssl.keystore.type=PEM
ssl.keystore.location=${stores.keystore}
ssl.truststore.type=PEM
ssl.truststore.location=${stores.truststore}
listener.name.certificate.ssl.client.auth=required
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=${oauth}.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=${oauth}.OAuthBearerValidatorCallbackHandler
sasl.oauthbearer.jwks.endpoint.url=${tokens.keysUrl}
sasl.oauthbearer.expected.audience=kafka
connections.max.reauth.ms=3600000
`
}
