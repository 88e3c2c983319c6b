import { writeFileSync } from 'node:fs'
import type { ApiServerAddress } from './api-server.ts'

/** Writes a kubeconfig for kubectl and helm, with one context. Returns its path. */
export function writeKubeconfig(file: string, { url, caFile, token }: ApiServerAddress, context = 'test'): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': context,
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': caFile } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: context, context: { cluster: 'test', user: 'test' } }],
  }
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
  return file
}
