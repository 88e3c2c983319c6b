/** The operator's settings from environment variables; all faults are reported at once. */

import { hostname } from 'node:os'
import { Environment, LOG_LEVELS } from '#common/environment.ts'
import { httpHost } from '#common/http.ts'
import { DEFAULT_CONCURRENCY, MAX_CONCURRENCY, MAX_PORT, OPERATOR_PORT } from '#pipeline/limits.ts'
import { MANAGED_BY, TOPICS_FROM } from './desired/names.ts'
import type { OperatorSettings } from './desired/observed.ts'
import { namesIn } from './topics/grants.ts'

export type Settings = OperatorSettings & {
  identity: string
  /** Name of the operator's ServiceAccount. */
  account: string
  /** Namespaces that the operator serves; empty: all. */
  watchNamespaces: string[]
  httpHost: string
  httpPort: number
  logLevel: (typeof LOG_LEVELS)[number]
  concurrency: number
}

const POLICIES = ['Always', 'IfNotPresent', 'Never'] as const

export const ENVIRONMENT = `Finds the cluster as kubectl does (KUBECONFIG, ~/.kube/config) or, in a pod, by its ServiceAccount.

Environment:
  PROCESSOR_IMAGE, PRODUCER_IMAGE   images of the workloads (required)
  IMAGE_PULL_POLICY    ${POLICIES.join(', ')} (default IfNotPresent)
  IMAGE_PULL_SECRETS   names of Secrets for a private registry, separated by commas
  POD_NAMESPACE        namespace of the operator and of its Lease (default "default")
  POD_NAME             name of this replica in the Lease (default host name and process id)
  SERVICE_ACCOUNT_NAME name of its ServiceAccount, whose tokens workers obey (default ${MANAGED_BY})
  HTTP_HOST            address of /metrics, /healthz and /readyz (default 127.0.0.1); * for all addresses
  HTTP_PORT            port of /metrics, /healthz and /readyz; 0 is any free port (default ${OPERATOR_PORT})
  WATCH_NAMESPACES     namespaces whose pipelines the operator serves, separated by commas (default: all namespaces)
  TOPIC_NAMESPACES     namespaces in which pipelines of all namespaces may use KafkaTopics, separated by commas; * for
                       every namespace. Others must allow it by the annotation ${TOPICS_FROM}
  CONCURRENCY          maximum number of pipelines that are reconciled at the same time (default ${DEFAULT_CONCURRENCY})
  LOG_LEVEL            ${LOG_LEVELS.join(', ')} (default info)
  OTEL_*               passed to all workloads
  ALLOW_SERVICE_ACCOUNTS, ALLOW_PULL_SECRETS, ALLOW_ENV
                       what pipelines may set as spec.pods.serviceAccountName, imagePullSecrets and env: names, separated by
                       commas. A name that ends with * allows all that begin like it (default none)
  ALLOW_ENV_SECRETS    true: spec.pods.env may also take values from Secrets with the label salespipeline.dev/env. The operator
                       then lists the metadata of all Secrets (default false)

Exit code: 2 when the arguments or the settings are wrong, 1 for every other failure.`

/** Throws a UsageError that lists all faults. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const variables = new Environment(env)
  const settings: Settings = {
    images: {
      processor: variables.text('PROCESSOR_IMAGE'),
      producer: variables.text('PRODUCER_IMAGE'),
      pullPolicy: variables.oneOf('IMAGE_PULL_POLICY', POLICIES, 'IfNotPresent'),
      pullSecrets: namesIn(env.IMAGE_PULL_SECRETS),
    },
    telemetry: Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) =>
        name.startsWith('OTEL_') && value !== undefined ? [[name, value]] : [],
      ),
    ),
    namespace: env.POD_NAMESPACE ?? 'default',
    topicNamespaces: namesIn(env.TOPIC_NAMESPACES),
    allowed: {
      serviceAccounts: namesIn(env.ALLOW_SERVICE_ACCOUNTS),
      imagePullSecrets: namesIn(env.ALLOW_PULL_SECRETS),
      env: namesIn(env.ALLOW_ENV),
      envSecrets: variables.flag('ALLOW_ENV_SECRETS'),
    },
    watchNamespaces: namesIn(env.WATCH_NAMESPACES),
    account: env.SERVICE_ACCOUNT_NAME ?? MANAGED_BY,
    identity: env.POD_NAME ?? `${hostname()}-${process.pid}`,
    httpHost: httpHost(env),
    httpPort: variables.integer('HTTP_PORT', OPERATOR_PORT, 0, MAX_PORT),
    concurrency: variables.integer('CONCURRENCY', DEFAULT_CONCURRENCY, 1, MAX_CONCURRENCY),
    logLevel: variables.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
  }
  variables.check()
  return settings
}
