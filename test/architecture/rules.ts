/** The rules of docs/architecture.md as functions. Each returns its violations, in words. */
import type { Import, Sources } from './imports.ts'

/** The packages that each package may import. */
export type MayImport = Record<string, string[] | 'everything'>

export const packageOf = (path: string) => path.split('/')[0]!
const inWords = ({ file, target }: Import) => `${file} → ${target}`

/** Packages, which are top-level directories with sources, that the table does not list. */
export function unlistedPackages(sources: Sources, mayImport: MayImport): string[] {
  const packages = new Set([...sources.keys()].filter(file => file.includes('/')).map(packageOf))
  return [...packages].filter(name => !(name in mayImport))
}

export function forbiddenImports(imports: Import[], mayImport: MayImport): string[] {
  return imports.filter(each => each.isOurs && !isAllowed(each, mayImport)).map(inWords)
}

function isAllowed({ file, target }: Import, mayImport: MayImport): boolean {
  const [from, to] = [packageOf(file), packageOf(target)]
  const allowed = mayImport[from] ?? []
  return from === to || allowed === 'everything' || allowed.includes(to)
}

/** The core imports itself and the pipeline: no node modules, no clients, no ports, no adapters. */
export function importsOutOfCore(imports: Import[]): string[] {
  return imports
    .filter(({ file, target, isOurs }) => isCore(file) && !(isOurs && (isCore(target) || isPipeline(target))))
    .map(inWords)
}

const isCore = (path: string) => path.startsWith('processor/core/')
const isPipeline = (path: string) => path.startsWith('pipeline/')

const IMPURE =
  /\b(?:async|await|Promise|queueMicrotask|setTimeout|setInterval|setImmediate|Date\.now|Math\.random)\b|\bnew Date\(\)|\b(?:performance|process|crypto|console)\.|\b(?:import|require|fetch)\(/g

/** What makes the core depend on more than its input: clock, chance, environment, I/O, anything asynchronous. */
export function impureCode(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => isCore(file))
    .flatMap(([file, text]) => [...text.matchAll(IMPURE)].map(([found]) => `${file}: ${found}`))
}

const OUTERMOST = ['processor/main.ts', 'processor/settings.ts']
export const isFlow = (file: string) => /^processor\/[^/]+\.ts$/.test(file) && !OUTERMOST.includes(file)

/** The flow sees ports: neither adapters nor node modules nor packages. */
export function importsOutOfFlow(imports: Import[]): string[] {
  return imports
    .filter(({ file, target, isOurs }) => isFlow(file) && (!isOurs || target.startsWith('processor/adapters/')))
    .map(inWords)
}

/** Import circles, at least one for each group of files that import each other. */
export function importCircles(imports: Import[]): string[] {
  const targets = Map.groupBy(
    imports.filter(({ isOurs }) => isOurs),
    ({ file }) => file,
  )
  const circles: string[] = []
  const finished = new Set<string>()
  const visit = (file: string, path: string[]) => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    else if (!finished.has(file)) for (const { target } of targets.get(file) ?? []) visit(target, [...path, file])
    finished.add(file)
  }
  for (const file of targets.keys()) visit(file, [])
  return circles
}

/** The table of packages in docs/architecture.md: rows of a top-level directory, its last cell what it may import. */
export function documentedImports(markdown: string): MayImport {
  const rows = markdown.matchAll(/^\| `(\w+)\/` \|.*\| ([^|]+) \|$/gm)
  return Object.fromEntries([...rows].map(([, name, cell]) => [name, packagesIn(cell!)]))
}

function packagesIn(cell: string): string[] | 'everything' {
  if (cell === 'everything') return cell
  if (cell === 'nothing of ours') return []
  return [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!)
}
