/** What the operator is told at its start: read once, checked whole. */
import { hostname } from 'node:os'
import type { OperatorSettings } from './desired/observed.ts'

export type Settings = OperatorSettings & {
  identity: string
  httpPort: number
  logLevel: string
  concurrency: number
}

const LEVELS = ['debug', 'info', 'warn', 'error']
const POLICIES = ['Always', 'IfNotPresent', 'Never'] as const

export const ENVIRONMENT = `The cluster is found as kubectl finds it (KUBECONFIG, ~/.kube/config) or, in a pod, by its ServiceAccount.

Environment:
  PROCESSOR_IMAGE, PRODUCER_IMAGE   images of the workloads (needed to run)
  IMAGE_PULL_POLICY    ${POLICIES.join(', ')} (default IfNotPresent)
  IMAGE_PULL_SECRETS   names of Secrets for a private registry, with commas between
  POD_NAMESPACE        where the operator runs and keeps its Lease (default default)
  POD_NAME             its name in the Lease (default host name and process id)
  HTTP_PORT            of /metrics, /healthz and /readyz; 0 takes any free one (default 8081)
  CONCURRENCY          pipelines that are worked on at a time (default 8)
  LOG_LEVEL            ${LEVELS.join(', ')} (default info)
  OTEL_*               handed on to all workloads`

/** A setting is missing or malformed; the message lists all of them. */
export class SettingsError extends Error {}

/** Throws SettingsError. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const faults: string[] = []
  const text = (name: string) => {
    if (!env[name]) faults.push(`${name} is needed`)
    return env[name] ?? ''
  }
  const oneOf = <T extends string>(name: string, allowed: readonly T[], fallback: T) => {
    const value = (env[name] ?? fallback) as T
    if (!allowed.includes(value)) faults.push(`${name} must be one of ${allowed.join(', ')}, not "${value}"`)
    return value
  }
  const number = (name: string, fallback: number, least: number, most: number) => {
    const value = Number(env[name] ?? fallback)
    if (!Number.isInteger(value) || value < least || value > most)
      faults.push(`${name} must be a whole number from ${least} to ${most}, not "${env[name]}"`)
    return value
  }
  const settings: Settings = {
    images: {
      processor: text('PROCESSOR_IMAGE'),
      producer: text('PRODUCER_IMAGE'),
      pullPolicy: oneOf('IMAGE_PULL_POLICY', POLICIES, 'IfNotPresent'),
      pullSecrets: (env.IMAGE_PULL_SECRETS ?? '').split(',').filter(name => name !== ''),
    },
    telemetry: Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) =>
        name.startsWith('OTEL_') && value !== undefined ? [[name, value]] : [],
      ),
    ),
    namespace: env.POD_NAMESPACE ?? 'default',
    identity: env.POD_NAME ?? `${hostname()}-${process.pid}`,
    httpPort: number('HTTP_PORT', 8081, 0, 65_535),
    concurrency: number('CONCURRENCY', 8, 1, 100),
    logLevel: oneOf('LOG_LEVEL', LEVELS, 'info'),
  }
  if (faults.length > 0) throw new SettingsError(`${faults.join('\n')}\nSee --help.`)
  return settings
}
