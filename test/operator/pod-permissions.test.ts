/** The matrix of what the operator permits in `spec.pods`, and what it applies of a spec that it does not permit. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { Allowed } from '#operator/desired/observed.ts'
import { removalJob } from '#operator/desired/removal.ts'
import { refusedPodSettings, withPermittedPods } from '#operator/pod-permissions.ts'
import { isReservedEnv } from '#pipeline/env-names.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { documentWith } from '../pipeline/documents.ts'
import { observedOf, outputFile, SHAPES } from './golden.ts'

const NONE: Allowed = { serviceAccounts: [], imagePullSecrets: [], env: [], envSecrets: false }
const SOME: Allowed = {
  serviceAccounts: ['shop'],
  imagePullSecrets: ['registry-*'],
  env: ['TZ', 'SHOP_*'],
  envSecrets: true,
}
const EVERYTHING: Allowed = { serviceAccounts: ['*'], imagePullSecrets: ['*'], env: ['*'], envSecrets: true }
const SECRETS: Record<string, Record<string, string>> = {
  shared: { 'salespipeline.dev/env': 'true' },
  labelled: { 'salespipeline.dev/env': 'false', team: 'a' },
  private: {},
}

const specWith = (pods: object) => checkPipeline(documentWith({ 'spec.pods': pods })).spec
const refusal = (pods: object, allowed: Allowed) =>
  refusedPodSettings(specWith(pods), allowed, name => SECRETS[name])?.message.split('\n') ?? []
const fromSecret = (name: string) => ({ env: [{ name: 'SHOP_KEY', valueSecretRef: { name, key: 'key' } }] })
const variable = (name: string) => ({ env: [{ name, value: 'a' }] })

describe('the operator', () => {
  it.each<[string, object]>([
    ['no setting', {}],
    ['nodeSelector', { nodeSelector: { pool: 'a' } }],
    ['tolerations', { tolerations: [{ operator: 'Exists' }] }],
    ['affinity', { affinity: { podAffinity: {} } }],
    ['topologySpreadConstraints', { topologySpreadConstraints: [] }],
    ['priorityClassName', { priorityClassName: 'high' }],
    ['labels', { labels: { team: 'a' } }],
    ['annotations', { annotations: { team: 'a' } }],
  ])('permits %s without a setting of its own', (_, pods) => expect(refusal(pods, NONE)).toEqual([]))

  it.each<[string, object, RegExp]>([
    [
      'serviceAccountName',
      { serviceAccountName: 'shop' },
      /^spec\.pods\.serviceAccountName: shop is not allowed by the operator; .*operator\.allow\.serviceAccounts$/,
    ],
    [
      'imagePullSecrets',
      { imagePullSecrets: [{ name: 'registry-a' }] },
      /^spec\.pods\.imagePullSecrets: registry-a is not allowed .*operator\.allow\.imagePullSecrets$/,
    ],
    ['env', variable('TZ'), /^spec\.pods\.env: TZ is not allowed .*operator\.allow\.env$/],
  ])('refuses %s unless its settings allow the value', (_, pods, message) => {
    expect(refusal(pods, NONE)).toEqual([expect.stringMatching(message)])
    expect(refusal(pods, SOME)).toEqual([])
  })

  it.each<[string, object]>([
    ['another account', { serviceAccountName: 'shop-admin' }],
    ['an account that ends like an allowed one', { serviceAccountName: 'my-shop' }],
    ['another pull Secret', { imagePullSecrets: [{ name: 'registry-a' }, { name: 'other' }] }],
    ['another variable', variable('TZDIR')],
    ['a variable that only contains an allowed prefix', variable('MY_SHOP_KEY')],
    ['a Secret without the label', fromSecret('private')],
    ['a Secret with another value of the label', fromSecret('labelled')],
    ['a Secret that does not exist', fromSecret('future')],
    ['a Secret that an Object.prototype has', fromSecret('constructor')],
  ])('refuses %s', (_, pods) => expect(refusal(pods, SOME)).toHaveLength(1))

  it('refuses variables from every Secret unless its settings allow such variables', () => {
    const asked: string[] = []
    const labelsOf = (name: string) => {
      asked.push(name)
      return SECRETS[name]
    }
    const refused = refusedPodSettings(specWith(fromSecret('shared')), { ...SOME, envSecrets: false }, labelsOf)
    expect(refused?.message).toMatch(/^spec\.pods\.env: .* such as shared; .*operator\.allow\.envSecrets$/)
    expect(asked).toEqual([])
  })

  it('permits a variable from a Secret with the label', () => expect(refusal(fromSecret('shared'), SOME)).toEqual([]))

  it('reports all refused values at once', () => {
    const pods = { serviceAccountName: 'a', imagePullSecrets: [{ name: 'b' }], ...fromSecret('private') }
    expect(refusal(pods, NONE)).toHaveLength(4)
    expect(refusal(pods, EVERYTHING)).toEqual([
      'spec.pods.env: Secret private does not have the label salespipeline.dev/env: "true"; add it if pods may read the Secret as variables',
    ])
  })
})

describe('the Job that removes the data', () => {
  const observed = observedOf('placed')
  const jobOf = (allowed: Allowed, labels: Record<string, string>) => {
    const spec = withPermittedPods(observed.spec, allowed, () => labels)
    return removalJob({ ...observed, spec }) as unknown as { spec: { template: { spec: Record<string, unknown> } } }
  }

  it('gives the removal Job all settings of the pods if the operator permits them', () => {
    const text = JSON.stringify(jobOf(EVERYTHING, { 'salespipeline.dev/env': 'true' }))
    for (const part of ['shop-kafka', 'registry', 'SHOP_TOKEN', 'TZ', '"dedicated"', '"team":"shop"'])
      expect(text).toContain(part)
  })

  it('gives the removal Job only where it runs if the operator does not permit the others', () => {
    for (const job of [jobOf(EVERYTHING, {}), jobOf(NONE, { 'salespipeline.dev/env': 'true' })]) {
      const text = JSON.stringify(job)
      expect(text).toContain('"dedicated"')
      expect(text).not.toMatch(/shop-kafka|"registry"|SHOP_TOKEN|"TZ"/)
    }
  })
})

it('reserves every variable that the operator sets', () => {
  const own = new Set(observedOf('placed').spec.pods.env.map(({ name }) => name))
  const files = [...SHAPES.map(outputFile), `${import.meta.dirname}/golden-removal.yaml`]
  const names = files.flatMap(file =>
    parseAllDocuments(readFileSync(file, 'utf8')).flatMap(document => {
      const { spec } = document.toJS() as {
        spec?: { template?: { spec: { containers: { env: { name: string }[] }[] } } }
      }
      return (spec?.template?.spec.containers ?? []).flatMap(({ env }) => env.map(({ name }) => name))
    }),
  )
  const set = [...new Set(names)].filter(name => !own.has(name))
  expect(set.length).toBeGreaterThan(8)
  expect(set.filter(name => !isReservedEnv(name))).toEqual([])
})
