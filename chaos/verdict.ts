/** The verifier as a Job beside the pipeline, on the very file that the workers read. */
import { ChaosError, type Json, kubectl } from './kubectl.ts'

export type VerdictSettings = {
  namespace: string
  image: string
  /** Nothing is sold any more and everything is done: documents are compared, too. */
  drained: boolean
  withinMs: number
}
type JobSettings = Pick<VerdictSettings, 'image' | 'drained' | 'withinMs'>

/** As far as it is told here; the report keeps all of it. */
export type Verdict = {
  ok: boolean
  records: number
  lost: number
  doubled: number
  rows: { compared: number; missing: number; extra: number; unequal: number }
  problems: string[]
}

const EVERY_MS = 1000

/** Why the verifier cannot judge a pipeline; null: it can. */
export function notVerifiable({ spec }: Json): string | null {
  if (!spec.source.tls && !spec.source.sasl) return null
  return 'the verifier reads Kafka without TLS and passwords, and spec.source asks for them'
}

type SecretRef = { name: string; key: string }
type Sink = {
  usernameSecretRef?: SecretRef
  passwordSecretRef?: SecretRef
  tls?: { enabled?: boolean; caSecretRef?: SecretRef }
}

/** Exported for tests: passwords by reference, so that nobody sees them. */
export function jobOf({ metadata, spec }: Json, { image, drained, withinMs }: JobSettings): Json {
  const { postgres = {}, elasticsearch } = spec.sinks ?? {}
  const documents = drained ? elasticsearch : undefined
  const sinks: Sink[] = documents ? [postgres, documents] : [postgres]
  const authorities = sinks.flatMap(({ tls }) => (tls?.caSecretRef && tls.enabled !== false ? [tls.caSecretRef] : []))
  const volumes = [
    { name: 'config', configMap: { name: `${metadata.name}-config` } },
    ...authorities.map(({ name, key }, i) => ({
      name: `ca-${i}`,
      secret: { secretName: name, items: [{ key, path: 'ca' }] },
    })),
  ]
  const container = {
    name: 'verify',
    image,
    args: ['/config/processor.yaml', '--json', ...judged(documents, drained)],
    env: [
      ...credentials(postgres, 'PGUSER', 'PGPASSWORD'),
      ...(postgres.tls && postgres.tls.enabled !== false ? [{ name: 'PGSSLMODE', value: 'verify-full' }] : []),
      ...(documents ? credentials(documents, 'ELASTIC_USER', 'ELASTIC_PASSWORD') : []),
      ...(authorities.length > 0 ? [{ name: 'CA_FILES', value: authorities.map((_, i) => `/ca-${i}/ca`).join() }] : []),
    ],
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/${name}`, readOnly: true })),
  }
  const labels = { 'app.kubernetes.io/name': 'salespipeline-verify' }
  const pod = {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
    volumes,
  }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { generateName: `${metadata.name}-verify-`, labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: Math.ceil(withinMs / 1000),
      // Should nobody be left to delete it.
      ttlSecondsAfterFinished: 3600,
      template: { metadata: { labels }, spec: pod },
    },
  }
}

/** Documents have no moment as of which they could be judged while the pipeline goes on. */
function judged(documents: { nodes: string[] } | undefined, drained: boolean): string[] {
  if (!drained) return ['--running']
  return documents ? ['--elasticsearch', documents.nodes[0]!] : []
}

function credentials({ usernameSecretRef, passwordSecretRef }: Sink, user: string, password: string): object[] {
  const by = (name: string, ref: SecretRef | undefined) =>
    ref ? [{ name, valueFrom: { secretKeyRef: { name: ref.name, key: ref.key } } }] : []
  return [...by(user, usernameSecretRef), ...by(password, passwordSecretRef)]
}

/** Runs it on a pipeline to its end and deletes it. Throws a ChaosError when it says no verdict. */
export async function verdictOf(document: Json, settings: VerdictSettings): Promise<Verdict> {
  const { namespace, withinMs } = settings
  const k = (...args: string[]) => kubectl(['-n', namespace, ...args])
  const made = await kubectl(
    ['-n', namespace, 'create', '-o', 'name', '-f', '-'],
    JSON.stringify(jobOf(document, settings)),
  )
  const job = made.trim()
  try {
    for (const deadline = Date.now() + withinMs; ; await new Promise(resolve => setTimeout(resolve, EVERY_MS))) {
      const { succeeded = 0, failed = 0 } = JSON.parse(await k('get', job, '-o', 'json')).status
      if (succeeded + failed > 0) break
      if (Date.now() > deadline) throw new ChaosError(`${job} has not ended:\n${await whyNot(namespace, job)}`)
    }
    return readVerdict(await k('logs', job))
  } finally {
    await k('delete', job, '--wait=false')
  }
}

/** Exported for tests: the verdict stands behind what it told meanwhile. */
export function readVerdict(said: string): Verdict {
  const verdict = /^\{$[\s\S]*^\}$/m.exec(said)?.[0]
  if (!verdict) throw new ChaosError(`the verifier says no verdict:\n${said.trim()}`)
  return JSON.parse(verdict)
}

/** The container's own state: an image that cannot be had, a Secret that is missing. */
async function whyNot(namespace: string, job: string): Promise<string> {
  const selector = `job-name=${job.split('/').at(-1)}`
  const { items } = JSON.parse(await kubectl(['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json']))
  return items.map(({ status }: Json) => JSON.stringify(status.containerStatuses ?? status.conditions)).join('\n')
}

export function renderVerdict({ ok, records, lost, doubled, rows, problems }: Verdict): string {
  const { compared, missing, extra, unequal } = rows
  const found = `${compared} rows compared, ${missing} missing, ${extra} extra, ${unequal} unequal`
  const told = [`${ok ? 'exact' : 'NOT EXACT'}: ${records} records, ${lost} lost, ${doubled} doubled; ${found}`]
  return [...told, ...problems.map(problem => `problem: ${problem}`)].join('\n')
}
