/** The worker's endpoint for the operator alone: the removal of dead members of the consumer group. */
import { type Answer, type HttpServer, json, startHttpServer } from '#common/http.ts'
import { serverText } from '#common/redact.ts'
import { type Authorize, removalTokens } from './removal-tokens.ts'

/** The worker as a member of its consumer group. */
export type Member = {
  describe(): { member: string | null; topicPartitions: number }
  /** Declares another member dead. Resolves with false if the group has no such member. */
  expel(member: string): Promise<boolean>
}

/** Listens on `port` (0: any free port). Rejects with a UserError when it cannot. `member` returns null before joining. */
export async function startMembersHttp(options: {
  port: number
  host: string
  /** File with the RemovalKeys. */
  keysFile: string
  pipeline: { namespace: string; name: string }
  member: () => Member | null
}): Promise<HttpServer> {
  const { port, host, keysFile, pipeline, member } = options
  const authorize = removalTokens(keysFile, pipeline)
  return startHttpServer({
    port,
    host,
    serves: 'the removal of dead members',
    variable: 'MEMBERS_PORT',
    routes: {
      // The operator calls this when the API server reports a pod as dead, so that its partitions move at once.
      'DELETE /members/': async (id, { authorization }) => {
        const refusal = await refusalOf(id, authorization, authorize)
        return refusal ?? expel(member(), decodeURIComponent(id))
      },
    },
  })
}

async function refusalOf(id: string, authorization: string | undefined, authorize: Authorize): Promise<Answer | null> {
  const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(authorization ?? '')?.[1]
  if (token === undefined)
    return json(401, { error: 'send the operator’s token for this removal: Authorization: Bearer' })
  if (!isEncoded(id)) return json(400, { error: 'the member id is not percent-encoded UTF-8' })
  const problem = await authorize(token, decodeURIComponent(id))
  return problem === null ? null : json(problem.status, { error: problem.message })
}

async function expel(member: Member | null, id: string): Promise<Answer> {
  if (!member) return json(503, { error: 'this worker has not joined its consumer group yet; try again later' })
  try {
    if (await member.expel(id)) return json(200, { removed: true })
    return json(404, { removed: false, error: 'the consumer group has no member with this id; nothing was changed' })
  } catch (error) {
    return json(503, { error: serverText((error as Error).message) })
  }
}

function isEncoded(id: string): boolean {
  try {
    decodeURIComponent(id)
    return true
  } catch {
    return false
  }
}
