/** Tests that each topic of the examples has one owner: the operator, which creates it for its pipeline. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { CHART, describeWithHelm, rendered } from '../support/helm.ts'

const EXAMPLES = join(CHART, '../../k8s/examples')
const LAPTOP = ['-f', join(CHART, 'values-laptop.yaml')]
const topics: string[] = readdirSync(EXAMPLES)
  .map(file => parse(readFileSync(join(EXAMPLES, file), 'utf8')).spec.source)
  .filter(({ strimzi }) => strimzi)
  .map(({ topic }) => topic)

describeWithHelm('the values for a laptop', () => {
  it('create no KafkaTopic for a topic that the operator creates for an example', () => {
    expect(topics.length).toBeGreaterThan(3)
    const created = rendered(LAPTOP).filter(({ kind }) => kind === 'KafkaTopic')
    expect(created.filter(({ metadata, spec }) => topics.includes(spec.topicName ?? metadata.name))).toEqual([])
  })

  it('let the user of the pipelines use the topics of the examples once Kafka authorizes', () => {
    const only = ['--set', 'kafka.scram.enabled=true,kafka.scram.plain=false']
    const user = rendered([...LAPTOP, ...only]).find(({ kind }) => kind === 'KafkaUser')
    const allowed = user.spec.authorization.acls.map(({ resource }: { resource: { name: string } }) => resource.name)
    expect(topics.filter(topic => !allowed.includes(topic))).toEqual([])
  })
})
