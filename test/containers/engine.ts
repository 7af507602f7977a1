import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** A build installs packages; anything else is quick. */
const PATIENCE_MS = 600_000
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

/** What a command said, and how it ended. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Docker, or podman with podman-compose, as it is found on this machine. */
export class Engine {
  readonly program: 'docker' | 'podman'

  constructor(program: 'docker' | 'podman') {
    this.program = program
  }

  /** Throws with all that the engine said where it fails. */
  async do(...args: readonly string[]): Promise<string> {
    return succeed(this.program, args, {})
  }

  async try(...args: readonly string[]): Promise<Outcome> {
    return outcomeOf(this.program, args, {})
  }

  /** `docker compose` or `podman-compose`, with more environment for what the files leave open. */
  async compose(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
    if (this.program === 'docker') return succeed('docker', ['compose', ...args], env)
    return succeed('podman-compose', args, env)
  }

  /** Podman keeps a HEALTHCHECK only in images of Docker's format. */
  async build(tag: string, file: string, context: string): Promise<void> {
    const format = this.program === 'podman' ? ['--format', 'docker'] : []
    await this.do('build', ...format, '--file', file, '--tag', tag, context)
  }

  /** One value of `inspect`, by its Go template. */
  async inspect(name: string, template: string): Promise<string> {
    return (await this.do('inspect', '--format', template, name)).trim()
  }
}

/** The engine, or the reason to skip; in CI there is no such reason. */
export function findEngine(): { readonly engine: Engine } | { readonly missing: string } {
  const works = (program: string, ...args: string[]) => spawnSync(program, args).status === 0
  if (works('docker', 'info') && works('docker', 'compose', 'version'))
    return { engine: new Engine('docker') }
  if (works('podman', 'info') && works('podman-compose', '--version')) return { engine: new Engine('podman') }
  const missing = 'no container engine: neither docker with compose nor podman with podman-compose'
  if (process.env['CI']) throw new Error(missing)
  return { missing }
}

async function succeed(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const { code, stdout, stderr } = await outcomeOf(program, args, env)
  if (code === 0) return stdout
  throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stdout}\n${stderr}`)
}

async function outcomeOf(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const options = { env: { ...process.env, ...env }, timeout: PATIENCE_MS, maxBuffer: MAX_OUTPUT_BYTES }
  try {
    return { code: 0, ...(await run(program, [...args], options)) }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string }
    if (typeof code !== 'number') throw error
    return { code, stdout: stdout ?? '', stderr: stderr ?? '' }
  }
}
