/** The public address is stated once, as `repository.url` in package.json; every other place follows it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { RUNBOOK } from '#grafana/runbook.ts'
import { values } from '../charts/values.ts'

const read = (file: string) => readFileSync(join(import.meta.dirname, '..', file), 'utf8')
const { repository, homepage, bugs } = JSON.parse(read('package.json'))
const RUNBOOK_PATH = '/blob/main/docs/operations.md'

it('names a GitHub repository in package.json', () =>
  expect(repository.url).toMatch(/^https:\/\/github\.com\/[\w-]+\/[\w-]+$/))

it('derives the homepage and the issue tracker in package.json from the repository’s address', () => {
  expect({ homepage, bugs }).toEqual({ homepage: `${repository.url}#readme`, bugs: `${repository.url}/issues` })
})

it('derives the runbook’s address from the repository’s address', () => {
  expect(RUNBOOK).toBe(repository.url + RUNBOOK_PATH)
  expect(values.parse({}).monitoring.runbooks).toBe(RUNBOOK)
})

it.each(['grafana/alerts.yaml', 'grafana/dashboards/pipeline.json', 'charts/sales-pipeline/values.yaml'])(
  'contains only that address of the runbook in %s',
  file => {
    const addresses = new Set(read(file).match(/https:[^\s"#]+\/docs\/operations\.md/g))
    expect(addresses).toEqual(new Set([RUNBOOK]))
  },
)

it('uses the repository’s address as the home of the chart, whose template replaces the runbook’s address', () => {
  expect(parse(read('charts/sales-pipeline/Chart.yaml')).home).toBe(repository.url)
  expect(read('charts/sales-pipeline/templates/monitoring/alerts.yaml')).toContain(
    `replace (printf "%s${RUNBOOK_PATH}" .Chart.Home) .Values.monitoring.runbooks`,
  )
})

it('names the same repository in every file that links to GitHub', () => {
  const files = ['.github/ISSUE_TEMPLATE/config.yml', 'Dockerfile', 'package.json']
  for (const file of files) {
    const addresses = read(file).match(/https:\/\/github\.com\/[\w-]+\/[\w-]+/g) ?? []
    expect({ file, addresses: [...new Set(addresses)] }).toEqual({ file, addresses: [repository.url] })
  }
})
