/** Parses the image configuration of a target in our Dockerfile, including the stages below it. */
type Instruction = { word: string; rest: string }

/** Supports no heredocs, no ONBUILD, and one stage per name. Throws an Error if the target is not based on scratch. */
export function configFromDockerfile(text: string, target: string, given: Record<string, string> = {}) {
  const stages = stagesOf(text)
  const chain = [target]
  while (stages.has(chain[0]!)) chain.unshift(stages.get(chain[0]!)!.base)
  if (chain[0] !== 'scratch') throw new Error(`${target} is based on ${chain[0]}, not on scratch`)
  const instructions = chain.slice(1).flatMap(stage => stages.get(stage)!.instructions)
  const all = (word: string) => instructions.filter(i => i.word === word).map(({ rest }) => rest)
  const args = Object.fromEntries(all('ARG').map(arg => arg.split(/=(.*)/s) as [string, string]))
  const filled = (value: string) => value.replace(/\$\{(\w+)\}/g, (_, name) => given[name] ?? args[name] ?? '')
  return {
    Entrypoint: JSON.parse(all('ENTRYPOINT').at(-1)!) as string[],
    Env: all('ENV')
      .flatMap(pairsOf)
      .map(([name, value]) => `${name}=${filled(value)}`),
    User: all('USER').at(-1),
    WorkingDir: all('WORKDIR').at(-1),
    Labels: Object.fromEntries(
      all('LABEL')
        .flatMap(pairsOf)
        .map(([name, value]) => [name, filled(value)]),
    ),
  }
}

function stagesOf(text: string): Map<string, { base: string; instructions: Instruction[] }> {
  const stages = new Map<string, { base: string; instructions: Instruction[] }>()
  let current: Instruction[] = []
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter(line => line.trim())
  for (const line of lines) {
    const [, word, rest] = /^(\w+)\s+(.*)$/.exec(line)!
    const from = word === 'FROM' && /^(\S+) AS (\S+)$/.exec(rest!)
    if (from) stages.set(from[2]!, { base: from[1]!, instructions: (current = []) })
    else current.push({ word: word!, rest: rest! })
  }
  return stages
}

/** `NAME=value OTHER="a value"` */
function pairsOf(text: string): [string, string][] {
  return [...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(([, name, quoted, bare]) => [name!, quoted ?? bare!])
}
