/** `npm run dashboards`: writes the dashboards as JSON files for Grafana. */
import { join } from 'node:path'
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { runGenerator } from '#common/generator.ts'
import { pipelineDashboard } from './pipeline.ts'
import { salesDashboard } from './sales.ts'

export const FOLDER = join(import.meta.dirname, 'dashboards')

/** File name → content. */
export function dashboardFiles(): Map<string, string> {
  const dashboards = { 'pipeline.json': pipelineDashboard(), 'sales.json': salesDashboard() }
  return new Map(Object.entries(dashboards).map(([name, dashboard]) => [name, textOf(dashboard)]))
}

/** Numbers the panels by position, so that links to panels stay valid. */
function textOf(dashboard: Dashboard): string {
  const panels = dashboard.panels?.map((panel, index) => ({ ...panel, id: index + 1 }))
  return `${JSON.stringify({ ...dashboard, panels }, null, 2)}\n`
}

if (import.meta.main) await runGenerator(() => [...dashboardFiles()].map(([name, text]) => [join(FOLDER, name), text]))
