/** Finds the cluster as kubectl does (KUBECONFIG, ~/.kube/config) or, in a pod, by its ServiceAccount. */
import { KubeConfig } from '@kubernetes/client-node'

/** The library's default when nothing is configured. */
const UNCONFIGURED = 'http://localhost:8080'

/** No cluster is configured. */
export class NoCluster extends Error {}

/** Throws NoCluster, or an Error when the file cannot be read. */
export function kubeConfig(): KubeConfig {
  const config = new KubeConfig()
  config.loadFromDefault()
  if (config.getCurrentCluster()?.server === UNCONFIGURED)
    throw new NoCluster('no cluster is configured: set KUBECONFIG or create ~/.kube/config')
  return config
}
