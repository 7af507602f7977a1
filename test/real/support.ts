import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { boundCommand } from '../support/bound-command.ts'
import { until, within } from '../support/until.ts'

/** Debian puts python3-django, gunicorn and uvicorn here and nowhere else. */
export const PYTHON = process.env['PYTHON'] ?? '/usr/bin/python3'
const MEBIBYTE = 1024 * 1024

/** A listener that believes who stands before it: a load balancer that ends TLS. */
export const TRUSTING = `
[listeners.trusting]
address = "127.0.0.1:0"
trusted_proxies = ["127.0.0.1"]
`
export const FORM_TYPE = ['Content-Type', 'application/x-www-form-urlencoded'] as const

const running = new Set<AppServer>()
// They stand in groups of their own, so nobody else would end them when a test run breaks off.
process.once('exit', () => {
  for (const server of running) server.signal('SIGKILL')
})

interface TestScope {
  teardown(end: () => Promise<void> | void): void
}

/** Short: the system has little room for the name of a socket. */
export function socketIn(t: TestScope): string {
  const folder = mkdtempSync(join(tmpdir(), 'uwsgi-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'app.sock')
}

/**
 * False when these Python modules are here, else the reason to skip. In CI there is no such reason: a test
 * that quietly did not run would be taken for one that passed.
 */
export function missing(...modules: readonly string[]): string | false {
  const found = spawnSync(PYTHON, ['-c', `import ${modules.join(', ')}`], { encoding: 'utf8' })
  if (found.status === 0) return false
  const reason = `${PYTHON} has not all of: ${modules.join(', ')} (Debian: python3-django gunicorn uvicorn)`
  if (process.env['CI']) throw new Error(`${reason}\n${found.stderr}`)
  return reason
}

/** A real app server with all its workers, in a process group of its own. */
export class AppServer {
  readonly #child: ChildProcess
  output = ''
  port = 0

  constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Processes that gunicorn said it had started, dead ones too. */
  get workers(): number[] {
    return [...this.output.matchAll(/Booting worker with pid: (\d+)/g)].map(([, pid]) => Number(pid))
  }

  async listens(pattern: RegExp): Promise<void> {
    await until(`the app server to listen; it says: ${this.output}`, () => {
      if (this.#ended) throw new Error(`the app server ended:\n${this.output}`)
      this.port = Number(pattern.exec(this.output)?.[1] ?? 0)
      return this.port
    })
  }

  /** To all of its processes. */
  signal(name: NodeJS.Signals): void {
    if (!this.#ended) process.kill(-this.pid, name)
  }

  /** The whole group at once, as if the machine had lost power. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#end()
  }

  async stop(): Promise<void> {
    this.signal('SIGTERM')
    await within('the app server to stop', this.#end()).catch(() => this.kill())
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async #end(): Promise<void> {
    if (!this.#ended) await once(this.#child, 'exit')
    running.delete(this)
  }
}

/** The Django project of this folder under gunicorn. */
export async function startDjango(
  t: TestScope,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<AppServer> {
  const all: [string, ...string[]] = [
    PYTHON,
    '-m',
    'gunicorn',
    '--bind',
    '127.0.0.1:0',
    ...args,
    'django_site.wsgi',
  ]
  return startServer(t, all, env, /Listening at: http:\/\/127\.0\.0\.1:(\d+)/)
}

/** The bare ASGI app of this folder under uvicorn. */
export async function startAsgi(t: TestScope, args: readonly string[] = []): Promise<AppServer> {
  const all: [string, ...string[]] = [
    PYTHON,
    '-m',
    'uvicorn',
    '--host',
    '127.0.0.1',
    '--port',
    '0',
    ...args,
    'asgi_app:app',
  ]
  return startServer(t, all, {}, /running on http:\/\/127\.0\.0\.1:(\d+)/)
}

/** A server with this command line; the pattern finds its port in what it says. */
export async function startServer(
  t: TestScope,
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  pattern: RegExp,
): Promise<AppServer> {
  const child = spawn(...boundCommand(program, args), {
    cwd: import.meta.dirname,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const server = new AppServer(child)
  running.add(server)
  t.teardown(() => server.stop())
  await server.listens(pattern)
  return server
}

/**
 * What to send. Fields go out as they stand here, doubles too; a missing Host or length of a text is added.
 */
export interface Ask {
  readonly method?: string
  readonly path: string
  readonly fields?: readonly (readonly [name: string, value: string])[]
  readonly body?: string | Buffer | Readable
  readonly agent?: Agent
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly sha256: string
  readonly length: number
  /** The first MiB of the body. */
  readonly text: string
}

/** Sends a request; resolves with its answer's head. */
export async function open(port: number, ask: Ask): Promise<IncomingMessage> {
  const fields = ask.fields ?? []
  const has = (field: string) => fields.some(([name]) => name.toLowerCase() === field)
  const host = has('host') ? [] : ['Host', `127.0.0.1:${port}`]
  const plain = typeof ask.body === 'string' || Buffer.isBuffer(ask.body)
  const length =
    plain && !has('content-length') ? ['Content-Length', String(Buffer.byteLength(ask.body as string))] : []
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method: ask.method ?? 'GET',
    path: ask.path,
    headers: [...host, ...fields.flat(), ...length],
    agent: ask.agent ?? false,
  })
  const answered = responseOf(outgoing)
  if (ask.body instanceof Readable) ask.body.pipe(outgoing)
  else outgoing.end(ask.body)
  return within(`an answer to ${ask.path}`, answered, 30_000)
}

/** Sends a request and reads the whole answer; throws where its end is missing. */
export async function ask(port: number, question: Ask): Promise<Answer> {
  return read(await open(port, question))
}

/** Reads an answer to its end. */
export async function read(answer: IncomingMessage): Promise<Answer> {
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let length = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    hash.update(chunk)
    if (length < MEBIBYTE) kept.push(chunk)
    length += chunk.length
  }
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    sha256: hash.digest('hex'),
    length,
    text: Buffer.concat(kept).toString(),
  }
}

/** Waits until the text has arrived; what comes later stays for the next call. */
export async function readUntil(answer: IncomingMessage, text: string): Promise<string> {
  let seen = ''
  return within(
    `the text ${JSON.stringify(text)} to arrive`,
    new Promise((resolve, reject) => {
      const look = (chunk: Buffer) => {
        seen += chunk.toString()
        if (!seen.includes(text)) return
        answer.off('data', look)
        answer.pause()
        resolve(seen)
      }
      answer.on('data', look).resume()
      answer.once('error', reject)
    }),
  )
}

/** Bytes that nobody can take for others, and their sum. */
export function bytesToSend(mebibytes: number): {
  readonly body: () => Readable
  readonly sha256: string
  length: number
} {
  const block = (number: number) => {
    const seed = createHash('sha256').update(`sent ${number}`).digest()
    return Buffer.alloc(MEBIBYTE, seed)
  }
  const hash = createHash('sha256')
  for (let number = 0; number < mebibytes; number += 1) hash.update(block(number))
  const body = () =>
    Readable.from(
      (function* () {
        for (let number = 0; number < mebibytes; number += 1) yield block(number)
      })(),
    )
  return { body, sha256: hash.digest('hex'), length: mebibytes * MEBIBYTE }
}

/** The cookies that an answer sets, as a client sends them back. */
export function cookiesOf(headers: NodeJS.Dict<string | string[]>): string[] {
  return [headers['set-cookie'] ?? []].flat().map(line => line.split(';')[0] as string)
}

/** The CSRF token of a form of Django's. */
export function tokenIn(page: string): string {
  return /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page)?.[1] ?? ''
}

async function responseOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    // An answer that came before its request was sent counts; what breaks behind it does not.
    outgoing.on('error', reject)
  })
}
