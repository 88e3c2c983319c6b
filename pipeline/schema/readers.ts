/** `spec.sinks.postgres.readers`: roles that may read the results. */
import { z } from 'zod'
import { MAX_POSTGRES_NAME } from '../limits.ts'
import { text } from '../rules.ts'

/** Cloud providers have roles such as `dashboards@shop.iam`, so more characters are allowed than in our own names. */
const ROLE = new RegExp(`^[A-Za-z_][A-Za-z0-9_.@$-]{0,${MAX_POSTGRES_NAME - 1}}$`)

const RULE = `must be the name of a PostgreSQL role: a letter or _, then letters, digits, "_", ".", "@", "$" and "-", at most ${MAX_POSTGRES_NAME} characters`

/** PostgreSQL reads `public` as everyone, even in quotes, and has no role `none`. Members of `pg_*` roles change with a release. */
const NOT_RESERVED = {
  rule: "!(self in ['public', 'none']) && !self.startsWith('pg_')",
  message:
    'must not be public, none or a name that begins with pg_: the results would be readable for roles that nobody listed; create a role for the readers',
}

const roleName = () => {
  const role = text(ROLE, RULE, MAX_POSTGRES_NAME)
  const rules = role.meta()?.rules ?? []
  return role
    .refine(name => !['public', 'none'].includes(name) && !name.startsWith('pg_'), { error: NOT_RESERVED.message })
    .meta({ label: 'role name', rules: [...rules, NOT_RESERVED] })
}

export const readers = () =>
  z
    .array(roleName())
    .max(16)
    .meta({ listSet: true })
    .default([])
    .meta({
      description:
        'Existing roles that may read the results, such as the role of a dashboard. The workers grant them USAGE on the schema, and SELECT on the tables of aggregations, on the raw table and on views in the schema, and revoke both from a role that is no longer listed',
      example: ['grafana'],
    })
