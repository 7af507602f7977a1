import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { patience } from '../support/until.ts'

/** Connections of the fleet that are open before it begins; each is used about four times a second. */
const FLEET = 50
/** How long a client waits for its answer before it leaves, on a quiet machine. */
const PATIENCE_MS = 30_000
const PADDING = 'x'.repeat(400)

/** One request of a load and what became of it; times by performance.now(). */
export interface Asked {
  readonly id: string
  readonly method: 'GET' | 'POST'
  /** When it had to be sent, whatever had happened to others. */
  readonly dueMs: number
  readonly endMs: number
  /** The status, or in a word what came instead of an answer. */
  readonly outcome: number | string
}

export interface LoadOptions {
  readonly port: number
  readonly perSecond: number
  readonly durationMs: number
}

/**
 * Open-loop load: GET and POST in turn, each sent when it is due, on the kept-alive connections of a fleet of
 * browsers, in turn, and on new ones where none is free. Nothing is ever sent again.
 */
export class OpenLoad {
  readonly #agent: Agent
  readonly #options: LoadOptions
  readonly #startMs = performance.now()
  readonly #total: number
  readonly #asked: Asked[] = []
  readonly #done = Promise.withResolvers<readonly Asked[]>()
  #sent = 0
  #stopped = false

  private constructor(agent: Agent, options: LoadOptions) {
    this.#agent = agent
    this.#options = options
    this.#total = Math.round((options.perSecond * options.durationMs) / 1000)
    this.#sendDue()
  }

  /** Opens the connections, then begins. */
  static async start(options: LoadOptions): Promise<OpenLoad> {
    const agent = new Agent({ keepAlive: true, scheduling: 'fifo', maxFreeSockets: 10_000 })
    const { port } = options
    const openings = Array.from({ length: FLEET }, async () => {
      const outgoing = request({ host: '127.0.0.1', port, agent, path: '/healthz' })
      const outcome = outcomeOf(outgoing, 'well\n')
      outgoing.end()
      if ((await outcome) !== 200) throw new Error('a request before the load was not answered well')
    })
    await Promise.all(openings)
    return new OpenLoad(agent, options)
  }

  get startMs(): number {
    return this.#startMs
  }

  /** Every request of the load, once the last has ended. */
  async whole(): Promise<readonly Asked[]> {
    return this.#done.promise
  }

  /** Sends no more: the run has failed. */
  stop(): void {
    this.#stopped = true
    this.#agent.destroy()
  }

  #sendDue(): void {
    if (this.#stopped) return
    while (this.#sent < this.#total && this.#dueMs(this.#sent) <= performance.now()) {
      this.#send(this.#sent)
      this.#sent += 1
    }
    if (this.#sent === this.#total) return
    setTimeout(() => this.#sendDue(), Math.max(0, this.#dueMs(this.#sent) - performance.now()))
  }

  #dueMs(number: number): number {
    return this.#startMs + (number * 1000) / this.#options.perSecond
  }

  #send(number: number): void {
    const method = number % 2 === 0 ? 'GET' : 'POST'
    const id = `${method}-${number}`
    const body = method === 'GET' ? '' : `id=${id}&padding=${PADDING}`
    const fields = method === 'GET' ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }
    const length = method === 'GET' ? {} : { 'Content-Length': body.length }
    const outgoing = request({
      ...{ host: '127.0.0.1', port: this.#options.port, agent: this.#agent },
      ...{ method, path: `/job/${id}`, headers: { Host: 'example.com', ...fields, ...length } },
    })
    const end = (outcome: number | string) => {
      clearTimeout(late)
      this.#end({ id, method, dueMs: this.#dueMs(number), endMs: performance.now(), outcome })
    }
    const late = setTimeout(() => outgoing.destroy(new Error('no answer in time')), patience(PATIENCE_MS))
    outcomeOf(outgoing, `did ${id}\n`).then(end, error => end(wordFor(error, outgoing)))
    outgoing.end(body)
  }

  #end(asked: Asked): void {
    this.#asked.push(asked)
    if (this.#asked.length < this.#total) return
    this.#agent.destroy()
    this.#done.resolve(this.#asked)
  }
}

/** The status of a whole answer; an answer of 200 with another text than `expected` is none. */
async function outcomeOf(outgoing: ClientRequest, expected: string): Promise<number | string> {
  const answer = await new Promise<IncomingMessage>((done, failed) => {
    outgoing.once('response', done).on('error', failed)
  })
  let text = ''
  for await (const piece of answer.setEncoding('latin1')) text += piece
  if (answer.statusCode === 200 && text !== expected) return 'wrong text'
  return answer.statusCode ?? 'no status'
}

function wordFor(error: unknown, { reusedSocket }: ClientRequest): string {
  const { code, message } = error as NodeJS.ErrnoException
  return `${code ?? message}${reusedSocket ? ' on a used connection' : ''}`
}
