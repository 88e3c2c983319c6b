/**
 * What the operator needs to remove dead members of consumer groups (pipeline/removal-tokens.ts): the API server's public
 * keys, which workers get as a file, and a token for each removal.
 */
import { type RemovalKeys, removalAudience, serviceAccountSubject } from '#pipeline/removal-tokens.ts'
import type { Owner } from './desired/observed.ts'
import type { KubeClient } from './kube/client.ts'
import { pathOf, SERVICE_ACCOUNT } from './kube/resources.ts'
import type { Clock, Log } from './ports.ts'

/** Where every API server publishes its keys. By default, all ServiceAccounts may read them. */
const KEYS_PATH = '/openid/v1/jwks'
/** The shortest lifetime that the API server grants. */
const TOKEN_SECONDS = 600
/** Some clouds replace the keys every week. Until workers have the new ones, the broker notices dead members. */
const REFRESH_MS = 600_000
const RETRY_MS = 30_000

export type RemovalDeps = {
  client: Pick<KubeClient, 'json'>
  clock: Clock
  log: Log
  /** The operator's own ServiceAccount. */
  account: { namespace: string; name: string }
}

export class Removals {
  readonly #deps: RemovalDeps
  #keys: object[] = []

  constructor(deps: RemovalDeps) {
    this.#deps = deps
  }

  /** Whom workers obey. Without keys, they obey nobody. */
  get keys(): RemovalKeys {
    const { namespace, name } = this.#deps.account
    return { subject: serviceAccountSubject(namespace, name), keys: this.#keys }
  }

  /** Reads the keys again. Resolves with true if they have changed; keeps the last ones if they cannot be read. */
  async refresh(signal: AbortSignal): Promise<boolean> {
    const accept = 'application/jwk-set+json'
    try {
      const { keys } = await this.#deps.client.json<{ keys: object[] }>('GET', KEYS_PATH, { accept, signal })
      const hasChanged = JSON.stringify(keys) !== JSON.stringify(this.#keys)
      this.#keys = keys
      return hasChanged
    } catch (error) {
      if (signal.aborted) return false
      const consequence = 'workers without these keys do not let the operator remove dead workers from their group'
      this.#deps.log('warn', 'cannot read public keys of API server', { error: (error as Error).message, consequence })
      return false
    }
  }

  /** Refreshes until the signal aborts. */
  async follow(onChange: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(this.#keys.length > 0 ? REFRESH_MS : RETRY_MS, signal)
      if (!signal.aborted && (await this.refresh(signal))) onChange()
    }
  }

  /** Resolves with a token that allows this removal only, or with null when the API server issues none. */
  async token(owner: Owner, member: string): Promise<string | null> {
    const { client, account, log } = this.#deps
    const audiences = [removalAudience(owner, member)]
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences, expirationSeconds: TOKEN_SECONDS },
    }
    const path = pathOf(SERVICE_ACCOUNT, account.namespace, account.name, 'token')
    try {
      const { status } = await client.json<{ status: { token: string } }>('POST', path, { body })
      return status.token
    } catch (error) {
      const { namespace, name } = account
      log('warn', 'cannot get token to remove dead worker; the broker removes it after the session timeout', {
        serviceAccount: `${namespace}/${name}`,
        error: (error as Error).message,
      })
      return null
    }
  }
}
