/** Which cluster: as kubectl finds it (KUBECONFIG, ~/.kube/config) or, in a pod, by its ServiceAccount. */
import { KubeConfig } from '@kubernetes/client-node'

/** What the library takes where nothing is configured: nobody's cluster. */
const NOWHERE = 'http://localhost:8080'

/** No cluster is configured. */
export class NoCluster extends Error {}

/** Throws NoCluster, or an Error when the file cannot be read. */
export function kubeConfig(): KubeConfig {
  const config = new KubeConfig()
  config.loadFromDefault()
  if (config.getCurrentCluster()?.server === NOWHERE)
    throw new NoCluster('no cluster is configured: set KUBECONFIG, or make ~/.kube/config as kubectl reads it')
  return config
}
