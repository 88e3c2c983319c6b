/** Kafka of the chart with TLS and SCRAM-SHA-512: what its clients get, and what they may do. */
import { expect, it } from 'vitest'
import { checkPipeline } from '#pipeline/parse.ts'
import { describeWithHelm, rendered } from '../support/helm.ts'
import type { Json } from '../support/kube.ts'

const ON = ['--set', 'kafka.scram.enabled=true', '--set', 'kafkaUi.enabled=true']
const ONLY = [...ON, '--set', 'kafka.scram.plain=false', '--set', 'kafka.scram.topics={orders,web.orders}']

const find = (objects: Json[], kind: string, name: string) =>
  objects.find(object => object.kind === kind && object.metadata.name === name)
const kafkaOf = (objects: Json[]) => find(objects, 'Kafka', 'kafka').spec

describeWithHelm('Kafka of the chart', () => {
  it('gives Kafka only the listener without authentication by default, and no users', () => {
    const objects = rendered([])
    expect(kafkaOf(objects).kafka.listeners.map(({ port }: Json) => port)).toEqual([9092])
    expect(kafkaOf(objects).kafka).not.toHaveProperty('authorization')
    expect(kafkaOf(objects).entityOperator).not.toHaveProperty('userOperator')
    expect(objects.filter(({ kind }) => kind === 'KafkaUser')).toEqual([])
  })

  it('gives Kafka both listeners while clients move to the other one, without authorization', () => {
    const objects = rendered(ON)
    const { kafka, entityOperator } = kafkaOf(objects)
    expect(kafka.listeners.map(({ port }: Json) => port)).toEqual([9092, 9093])
    expect(kafka.listeners[1]).toMatchObject({ type: 'internal', tls: true, authentication: { type: 'scram-sha-512' } })
    expect(kafka).not.toHaveProperty('authorization')
    expect(entityOperator.userOperator.resources.limits).toEqual({ memory: '256Mi' })
    for (const user of objects.filter(({ kind }) => kind === 'KafkaUser')) {
      expect(user.spec).toEqual({ authentication: { type: 'scram-sha-512' } })
      expect(user.metadata.labels['strimzi.io/cluster']).toBe('kafka')
    }
  })

  it('lets the user of the pipelines use its topics and groups only, once the listener without authentication is off', () => {
    const objects = rendered([...ONLY, '--set', 'kafka.topics[0].name=sales'])
    expect(kafkaOf(objects).kafka.listeners.map(({ port }: Json) => port)).toEqual([9093])
    expect(kafkaOf(objects).kafka.authorization).toEqual({ type: 'simple' })
    const { authorization } = find(objects, 'KafkaUser', 'kafka-pipelines').spec
    const topics = ['orders', 'sales', 'salespipeline-test', 'web.orders']
    expect(authorization).toEqual({
      type: 'simple',
      acls: [
        ...topics.map(name => ({
          resource: { type: 'topic', name, patternType: 'literal' },
          operations: ['Describe', 'DescribeConfigs', 'Read', 'Write'],
        })),
        {
          resource: { type: 'group', name: 'salespipeline.', patternType: 'prefix' },
          operations: ['Describe', 'Read'],
        },
      ],
    })
  })

  it('lets the Kafka UI change nothing', () => {
    const { acls } = find(rendered(ONLY), 'KafkaUser', 'kafka-ui').spec.authorization
    const operations = new Set(acls.flatMap((acl: Json) => acl.operations))
    expect([...operations].sort()).toEqual(['Describe', 'DescribeConfigs', 'Read'])
  })

  it.each([
    ['both listeners', ON],
    ['the listener with SCRAM', ONLY],
  ])('connects all workloads to Kafka over TLS with the Secrets of Strimzi, with %s', (_, args) => {
    const objects = rendered(args)
    const { source } = checkPipeline(find(objects, 'SalesPipeline', 'helm-test')).spec
    expect(source).toMatchObject({
      bootstrapServers: ['kafka-kafka-bootstrap:9093'],
      tls: { enabled: true, caSecretRef: { name: 'kafka-cluster-ca-cert', key: 'ca.crt' } },
      sasl: {
        mechanism: 'SCRAM-SHA-512',
        usernameSecretRef: { name: 'kafka-pipelines-name', key: 'username' },
        passwordSecretRef: { name: 'kafka-pipelines', key: 'password' },
      },
    })
    expect(find(objects, 'Secret', 'kafka-pipelines-name').stringData).toEqual({ username: 'kafka-pipelines' })
    const { containers, volumes } = find(objects, 'Deployment', 'kafka-ui').spec.template.spec
    const env = Object.fromEntries(
      containers[0].env.map(({ name, value, valueFrom }: Json) => [name, value ?? valueFrom]),
    )
    expect(env).toMatchObject({
      KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS: 'kafka-kafka-bootstrap:9093',
      KAFKA_CLUSTERS_0_PROPERTIES_SECURITY_PROTOCOL: 'SASL_SSL',
      KAFKA_CLUSTERS_0_PROPERTIES_SASL_JAAS_CONFIG: { secretKeyRef: { name: 'kafka-ui', key: 'sasl.jaas.config' } },
      KAFKA_CLUSTERS_0_PROPERTIES_SSL_TRUSTSTORE_LOCATION: '/certificates/ca.crt',
    })
    expect(volumes.find(({ name }: Json) => name === 'certificates').secret.secretName).toBe('kafka-cluster-ca-cert')
  })
})
