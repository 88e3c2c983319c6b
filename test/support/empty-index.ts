const PAGE = 5000

/** Deletes all documents of an Elasticsearch index, as _delete_by_query does, which our test servers do not have. */
export async function emptyIndex(url: string, index: string): Promise<void> {
  const send = async (path: string, body = '') => {
    const headers = { 'content-type': 'application/x-ndjson' }
    const answer = await fetch(`${url}/${index}${path}`, { method: 'POST', headers, body })
    if (!answer.ok) throw new Error(await answer.text())
    return (await answer.json()) as { hits: { hits: { _id: string }[] } }
  }
  await send('/_refresh')
  for (let more = true; more; ) {
    const { hits } = (await send(`/_search?size=${PAGE}&_source=false`)).hits
    const lines = hits.map(({ _id }) => `${JSON.stringify({ delete: { _id } })}\n`)
    if (lines.length > 0) await send('/_bulk?refresh=true', lines.join(''))
    more = hits.length === PAGE // a last page that is not full would never be empty while a worker writes
  }
}
