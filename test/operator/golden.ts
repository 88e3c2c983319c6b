/** Shapes of pipelines: each is a folder with the observed state (input.yaml) and the desired objects (output.yaml). */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Images, Observed } from '#operator/desired/observed.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { API_VERSION, KIND } from '#pipeline/schema.ts'

const FOLDER = join(import.meta.dirname, 'golden')
const IMAGES: Images = { processor: 'processor:1', producer: 'producer:1', pullPolicy: 'IfNotPresent', pullSecrets: [] }

type Input = {
  resource: { metadata: { name: string; namespace: string; uid: string }; spec: object }
  replicas: number
  has?: Partial<Observed['has']>
  telemetry?: Record<string, string>
  images?: Images
}

export const SHAPES = readdirSync(FOLDER)
export const outputFile = (shape: string) => join(FOLDER, shape, 'output.yaml')

export function observedOf(shape: string): Observed {
  const { resource, ...input } = parse(readFileSync(join(FOLDER, shape, 'input.yaml'), 'utf8')) as Input
  const document = { apiVersion: API_VERSION, kind: KIND, ...resource }
  return {
    owner: { apiVersion: API_VERSION, kind: KIND, ...resource.metadata },
    document: resource.spec,
    spec: checkPipeline(document).spec,
    settings: {
      images: input.images ?? IMAGES,
      telemetry: input.telemetry ?? {},
      namespace: 'salespipeline-system',
      topicNamespaces: [],
      allowed: { serviceAccounts: [], imagePullSecrets: [], env: [], envSecrets: false },
    },
    replicas: input.replicas,
    has: { podMonitor: false, kafkaTopic: false, ...input.has },
    removalKeys: { subject: 'system:serviceaccount:salespipeline-system:salespipeline-operator', keys: [{ kid: 'a' }] },
  }
}
