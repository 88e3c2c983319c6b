/** The level `restricted` of Kubernetes' Pod Security Standards, and what we require of every pod beside it. */
import type { Json } from './kube.ts'

/** Volumes that `restricted` allows. */
const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]
const SECCOMP = ['RuntimeDefault', 'Localhost']

/** Returns what the pod violates; nothing if it may run in a namespace that enforces `restricted`. */
export function restrictedFaults(pod: Json): string[] {
  const containers: Json[] = [
    ...(pod.containers ?? []),
    ...(pod.initContainers ?? []),
    ...(pod.ephemeralContainers ?? []),
  ]
  const shared = ['hostNetwork', 'hostPID', 'hostIPC'].filter(name => pod[name]).map(name => `${name} is set`)
  const volumes = (pod.volumes ?? []).flatMap(({ name, ...source }: Json) =>
    Object.keys(source).some(kind => VOLUMES.includes(kind)) ? [] : [`volume ${name} is ${Object.keys(source)}`],
  )
  const sysctls = pod.securityContext?.sysctls?.length > 0 ? ['sysctls are set'] : []
  return [...shared, ...volumes, ...sysctls, ...containers.flatMap(container => containerFaults(container, pod))]
}

function containerFaults({ name, ports = [], securityContext = {} }: Json, pod: Json): string[] {
  const effective = { ...pod.securityContext, ...securityContext }
  const { capabilities = {} } = securityContext
  const rules: [boolean, string][] = [
    [securityContext.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation is not false'],
    [!securityContext.privileged, 'is privileged'],
    [capabilities.drop?.includes('ALL') ?? false, 'does not drop ALL capabilities'],
    [(capabilities.add ?? []).every((added: string) => added === 'NET_BIND_SERVICE'), 'adds capabilities'],
    [effective.runAsNonRoot === true && effective.runAsUser !== 0, 'may run as root'],
    [SECCOMP.includes(effective.seccompProfile?.type), 'has no seccomp profile'],
    [[undefined, 'Default'].includes(securityContext.procMount), 'has an unmasked /proc'],
    [ports.every(({ hostPort = 0 }: Json) => hostPort === 0), 'has a port of the host'],
  ]
  return rules.flatMap(([holds, fault]) => (holds ? [] : [`container ${name} ${fault}`]))
}

/** Returns what a pod of ours lacks beside `restricted`. */
export function hardeningFaults(pod: Json): string[] {
  const containers: Json[] = [...pod.containers, ...(pod.initContainers ?? [])]
  return containers.flatMap(({ name, resources = {}, securityContext = {} }) => {
    const rules: [unknown, string][] = [
      [securityContext.readOnlyRootFilesystem === true, 'has a writable root file system'],
      [resources.limits?.memory, 'has no memory limit'],
    ]
    return rules.flatMap(([holds, fault]) => (holds ? [] : [`container ${name} ${fault}`]))
  })
}

type Named = { name: string; pod: Json }

/** ECK gives containers without a security context this one (version 8.8 and newer). */
const OF_ECK = { allowPrivilegeEscalation: false, privileged: false, capabilities: { drop: ['ALL'] } }

/** Returns every pod that the objects describe: pods, templates of workloads, and those in resources of other operators. */
export function podsOf(objects: Json[]): Named[] {
  return objects.flatMap(object => {
    const name = `${object.kind} ${object.metadata.name}`
    if (object.kind === 'Pod') return [{ name, pod: object.spec }]
    if (object.kind === 'Kafka') return podsOfStrimzi(object)
    return templatesIn(object.spec).map(template => ({
      name,
      pod: /^(Elasticsearch|Kibana)$/.test(object.kind) ? withDefaults(template.spec, OF_ECK) : template.spec,
    }))
  })
}

/** Returns each template of a pod in a value, at any depth. */
function templatesIn(value: Json): Json[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value.spec?.containers)) return [value]
  return Object.values(value).flatMap(templatesIn)
}

const withDefaults = (pod: Json, defaults: Json): Json => ({
  ...pod,
  containers: pod.containers.map((container: Json) => ({ securityContext: defaults, ...container })),
})

/** The containers that Strimzi creates from a Kafka, each with the security context in its template. */
function podsOfStrimzi({ metadata, spec: { kafka, entityOperator } }: Json): Named[] {
  const container = (template: Json, name: string) => ({ name, ...template?.[`${name}Container`] })
  const operators = ['topicOperator', 'userOperator'].filter(name => entityOperator[name])
  return [
    {
      name: `Kafka ${metadata.name}`,
      pod: { ...kafka.template?.pod, containers: [container(kafka.template, 'kafka')] },
    },
    {
      name: `entity operator of ${metadata.name}`,
      pod: {
        ...entityOperator.template?.pod,
        containers: operators.map(name => container(entityOperator.template, name)),
      },
    },
  ]
}
