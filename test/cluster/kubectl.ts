/** The cluster as a user has it: kubectl, whatever KUBECONFIG names. */
import { spawn } from 'node:child_process'

/** Answers what it prints; throws what it complains of. */
export async function kubectl(args: string[], input?: string): Promise<string> {
  const child = spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', data => (out += data))
  child.stderr.on('data', data => (err += data))
  child.stdin.end(input)
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${err || out}`)
  return out
}
