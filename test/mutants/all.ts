/** All planted faults. */
import { AUTHENTICATION_MUTANTS } from './authentication.ts'
import { ENGINE_MUTANTS, type Mutant } from './engine.ts'
import { HELM_MUTANTS } from './helm.ts'
import { INGEST_MUTANTS } from './ingest.ts'
import { LIMITS_MUTANTS } from './limits.ts'
import { LOCAL_MUTANTS } from './local.ts'
import { NETWORK_POLICY_MUTANTS } from './network-policy.ts'
import { OPERATOR_MUTANTS } from './operator.ts'
import { OWNERSHIP_MUTANTS } from './ownership.ts'
import { PERMISSION_MUTANTS } from './permissions.ts'
import { POD_MUTANTS } from './pods.ts'
import { POOLER_MUTANTS } from './pooler.ts'
import { READINESS_MUTANTS } from './readiness.ts'
import { READING_MUTANTS } from './reading.ts'
import { REBUILD_MUTANTS } from './rebuild.ts'
import { SECURITY_MUTANTS } from './security.ts'
import { TIMES_MUTANTS } from './times.ts'
import { VERIFIER_MUTANTS } from './verifier.ts'
import { WATERMARK_MUTANTS } from './watermark.ts'

export const MUTANTS: Mutant[] = [
  ...ENGINE_MUTANTS,
  ...OPERATOR_MUTANTS,
  ...INGEST_MUTANTS,
  ...NETWORK_POLICY_MUTANTS,
  ...LIMITS_MUTANTS,
  ...LOCAL_MUTANTS,
  ...SECURITY_MUTANTS,
  ...OWNERSHIP_MUTANTS,
  ...REBUILD_MUTANTS,
  ...VERIFIER_MUTANTS,
  ...READING_MUTANTS,
  ...AUTHENTICATION_MUTANTS,
  ...POOLER_MUTANTS,
  ...TIMES_MUTANTS,
  ...WATERMARK_MUTANTS,
  ...READINESS_MUTANTS,
  ...HELM_MUTANTS,
  ...POD_MUTANTS,
  ...PERMISSION_MUTANTS,
]
