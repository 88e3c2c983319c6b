/** Runs the verifier as a Job in the pipeline's namespace, on the file that the workers read. */
import { certificateSecrets, secretVariable } from '#pipeline/secrets.ts'
import { ChaosError, type Json, kubectl } from './kubectl.ts'

export type VerdictSettings = {
  namespace: string
  image: string
  /** The load is stopped and everything is projected: documents are compared, too. */
  drained: boolean
  withinMs: number
}
type JobSettings = Pick<VerdictSettings, 'image' | 'drained' | 'withinMs'>

/** The fields that are used here; the report keeps all of them. */
export type Verdict = {
  ok: boolean
  records: number
  lost: number
  doubled: number
  rows: { compared: number; missing: number; extra: number; unequal: number }
  problems: string[]
}

const POLL_MS = 1000

/** Returns why the verifier cannot verify a pipeline; null if it can. */
export function notVerifiable({ spec }: Json): string | null {
  if (!spec.source.sasl?.serviceAccountToken) return null
  return 'spec.source.sasl uses serviceAccountToken, a token that the verifier’s Job does not have; run the chaos tool on a pipeline without it'
}

type SecretRef = { name: string; key: string }

/** Exported for tests. Secrets are references, so that the Job does not contain them. */
export function jobOf({ metadata, spec }: Json, { image, drained, withinMs }: JobSettings): Json {
  const { postgres = {}, elasticsearch } = spec.sinks ?? {}
  const documents = drained ? elasticsearch : undefined
  const container = {
    name: 'verify',
    image,
    args: ['/config/processor.yaml', '--json', ...modeArgs(documents, drained)],
    env: environment([...secretsOf(spec.source), ...secretsOf(postgres), ...secretsOf(documents)]),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'config', mountPath: '/config', readOnly: true }],
  }
  const labels = { 'app.kubernetes.io/name': 'salespipeline-verify' }
  const pod = {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
    volumes: [{ name: 'config', configMap: { name: `${metadata.name}-config` } }],
  }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { generateName: `${metadata.name}-verify-`, labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: Math.ceil(withinMs / 1000),
      // Deletes the Job if we were killed before.
      ttlSecondsAfterFinished: 3600,
      template: { metadata: { labels }, spec: pod },
    },
  }
}

/** Documents have no common snapshot, so they cannot be compared while the pipeline runs. */
function modeArgs(documents: { nodes: string[] } | undefined, drained: boolean): string[] {
  if (!drained) return ['--running']
  return documents ? ['--elasticsearch', documents.nodes[0]!] : []
}

/** Every reference is a field that ends in SecretRef; one with two keys is a certificate with its private key. */
function secretsOf(block: Json | undefined): SecretRef[] {
  if (typeof block !== 'object' || block === null) return []
  return Object.entries(block).flatMap(([field, value]): SecretRef[] => {
    if (!field.endsWith('SecretRef')) return secretsOf(value)
    const { name, certificate, key } = value as SecretRef & { certificate?: string }
    return certificate === undefined ? [{ name, key }] : Object.values(certificateSecrets({ name, certificate, key }))
  })
}

/** Several fields may refer to one key. */
function environment(refs: SecretRef[]): object[] {
  const byName = new Map(refs.map(ref => [secretVariable(ref), ref]))
  return [...byName].map(([name, ref]) => ({ name, valueFrom: { secretKeyRef: { name: ref.name, key: ref.key } } }))
}

/** Runs the Job to its end and deletes it. Throws a ChaosError if it produces no verdict in time. */
export async function verdictOf(document: Json, settings: VerdictSettings): Promise<Verdict> {
  const { namespace, withinMs } = settings
  const k = (...args: string[]) => kubectl(['-n', namespace, ...args])
  const created = await kubectl(
    ['-n', namespace, 'create', '-o', 'name', '-f', '-'],
    JSON.stringify(jobOf(document, settings)),
  )
  const job = created.trim()
  try {
    for (const deadline = Date.now() + withinMs; ; await new Promise(resolve => setTimeout(resolve, POLL_MS))) {
      const { succeeded = 0, failed = 0 } = JSON.parse(await k('get', job, '-o', 'json')).status
      if (succeeded + failed > 0) break
      if (Date.now() > deadline)
        throw new ChaosError(
          `${job} did not finish within ${withinMs / 1000} s:\n${await describePods(namespace, job)}`,
        )
    }
    return readVerdict(await k('logs', job))
  } finally {
    await k('delete', job, '--wait=false')
  }
}

/** Exported for tests. The verdict follows the progress lines of the log. */
export function readVerdict(log: string): Verdict {
  const verdict = /^\{$[\s\S]*^\}$/m.exec(log)?.[0]
  if (!verdict) throw new ChaosError(`the verifier produced no verdict:\n${log.trim()}`)
  return JSON.parse(verdict)
}

/** Resolves with the states of the containers, which name a missing image or Secret. */
async function describePods(namespace: string, job: string): Promise<string> {
  const selector = `job-name=${job.split('/').at(-1)}`
  const { items } = JSON.parse(await kubectl(['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json']))
  return items.map(({ status }: Json) => JSON.stringify(status.containerStatuses ?? status.conditions)).join('\n')
}

export function renderVerdict({ ok, records, lost, doubled, rows, problems }: Verdict): string {
  const { compared, missing, extra, unequal } = rows
  const found = `${compared} rows compared, ${missing} missing, ${extra} extra, ${unequal} unequal`
  const summary = `${ok ? 'exact' : 'NOT EXACT'}: ${records} records, ${lost} lost, ${doubled} counted twice; ${found}`
  return [summary, ...problems.map(problem => `problem: ${problem}`)].join('\n')
}
