/** Runs the health script of k8s/argocd in a Lua interpreter, as Argo CD does. */
import { readFileSync } from 'node:fs'
import { LuaFactory } from 'wasmoon'
import { parse } from 'yaml'
import type { Json } from './kube.ts'

const FILE = `${import.meta.dirname}/../../k8s/argocd/health.yaml`
const KEY = 'resource.customizations.health.salespipeline.dev_SalesPipeline'

export type ArgoHealth = { status: string; message: string }

/** Resolves with a function that runs the script on a resource. */
export async function argoHealth(): Promise<(resource: Json) => ArgoHealth> {
  const script: string = parse(readFileSync(FILE, 'utf8')).data[KEY]
  const lua = await new LuaFactory().createEngine()
  return resource => {
    const { status, message } = lua.doStringSync(`local obj = ${luaText(resource)}\n${script}`)
    return { status, message }
  }
}

/** Returns the value as a Lua expression. Argo CD passes tables as well; missing values are nil there. */
function luaText(value: unknown): string {
  if (Array.isArray(value)) return `{ ${value.map(luaText).join(', ')} }`
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([name, part]) => `[${luaText(name)}] = ${luaText(part)}`)
      .join(', ')} }`
  if (value === undefined || value === null) return 'nil'
  // Decimal escapes of bytes: Lua and JSON escape other characters differently.
  return typeof value === 'string'
    ? `"${[...Buffer.from(value)].map(byte => `\\${String(byte).padStart(3, '0')}`).join('')}"`
    : String(value)
}
