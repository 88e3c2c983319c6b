/** Finds the cluster as kubectl does (KUBECONFIG, ~/.kube/config) or, in a pod, by its ServiceAccount. */
import { KubeConfig } from '@kubernetes/client-node'
import { UserError } from '#pipeline/user-error.ts'

/** The library's default when nothing is configured. */
const UNCONFIGURED = 'http://localhost:8080'

/** Throws a UserError when no cluster is configured, or the kubeconfig cannot be read. */
export function kubeConfig(): KubeConfig {
  const config = new KubeConfig()
  try {
    config.loadFromDefault()
  } catch (error) {
    throw new UserError(`cannot read the kubeconfig: ${(error as Error).message}. Check KUBECONFIG or ~/.kube/config`, {
      cause: error,
    })
  }
  if (config.getCurrentCluster()?.server === UNCONFIGURED)
    throw new UserError('no cluster is configured: set KUBECONFIG or create ~/.kube/config')
  return config
}
