import { request } from 'node:http'
import { loadAdmin, loadConfig } from '../lib/config/load.ts'
import type { AdminConfig } from '../lib/config/model.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { addressText } from '../lib/server/shared/address-text.ts'
import { EXIT } from './exit.ts'

/** What the running process answered. */
export interface AdminAnswer {
  readonly status: number
  readonly body: string
}

/** The command cannot go on. The message is for stderr. */
class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

/**
 * Asks the process that runs the configuration at `path`, through its admin listener. A configuration that
 * has become bad since does not keep us from it. Throws CommandFailed if it cannot be reached.
 */
export async function askAdmin(
  path: string,
  method: string,
  page: string,
  timeoutMs: number,
): Promise<AdminAnswer> {
  const loaded = await loadConfig(path, process.env)
  const problems = loaded.ok ? '' : formatProblems(loaded.problems)
  const admin = loaded.ok ? loaded.snapshot.admin : await loadAdmin(path, process.env)
  if (admin === undefined) throw new CommandFailed(EXIT.config, problems)
  const where = addressText(admin.address)
  if (admin.address.kind === 'tcp' && admin.address.port === 0) {
    if (!loaded.ok) throw new CommandFailed(EXIT.config, problems)
    throw new CommandFailed(
      EXIT.failed,
      `admin.address is ${where}: the port is chosen at start, and only the log of the process shows it\n`,
    )
  }
  try {
    return await ask(admin, method, page, timeoutMs)
  } catch (error) {
    if (!loaded.ok) throw new CommandFailed(EXIT.config, problems)
    throw new CommandFailed(
      EXIT.failed,
      `no response from ${where} (admin.address of ${path}): ${reasonText(error)}\n`,
    )
  }
}

/**
 * What the process said instead of an answer, for stderr. A page that is not ours is not quoted: it may be
 * long.
 */
export function unexpectedAnswer({ status, body }: AdminAnswer): string {
  const said = errorOf(body)
  return said === undefined
    ? `the server at the admin address (status ${status}) does not seem to be causeway\n`
    : `the process returned ${status}: ${said}\n`
}

/** The command ends here: what answered is not what was asked. */
export function unexpected(answer: AdminAnswer): Error {
  return new CommandFailed(EXIT.failed, unexpectedAnswer(answer))
}

/**
 * Runs a command's body; what it throws as CommandFailed is printed, on stdout as JSON for programs, and
 * becomes the exit code.
 */
export async function orFail(json: boolean, body: () => Promise<number>): Promise<number> {
  try {
    return await body()
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    if (json) process.stdout.write(`${JSON.stringify({ error: error.message.trimEnd() })}\n`)
    else process.stderr.write(error.message)
    return error.exitCode
  }
}

function ask(
  { address, token }: AdminConfig,
  method: string,
  page: string,
  timeoutMs: number,
): Promise<AdminAnswer> {
  const target =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: reachable(address.host), port: address.port }
  const headers = { host: 'localhost', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const asked = request({ ...target, method, path: page, headers, agent: false, signal }, answer => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        body += text
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
      answer.on('error', reject)
    })
    asked.on('error', error =>
      reject(signal.aborted ? new Error(`no response within ${timeoutMs / 1000} s`) : error),
    )
    asked.end()
  })
}

function reasonText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ECONNREFUSED' || code === 'ENOENT' ? `is causeway running? (${code})` : message
}

/** Our error pages are JSON. */
function errorOf(body: string): string | undefined {
  try {
    const page: unknown = JSON.parse(body)
    const said = typeof page === 'object' && page !== null && 'error' in page ? page.error : undefined
    return typeof said === 'string' ? said : undefined
  } catch {
    return undefined
  }
}

/** An address of every interface is reached on this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
