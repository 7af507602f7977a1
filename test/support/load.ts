import { get, post, RawClient } from './raw-client.ts'
import type { RecordingUpstream, Script } from './recording-upstream.ts'

/** How long a client waits for an answer: longer than a stuck data thread goes unnoticed. */
const PATIENCE_MS = 30_000
/** A large answer, and a body that is sent. */
export const LARGE = 'causeway '.repeat(2_000)
const SMALL = 'a form of some length '.repeat(50)

/** A request of the load, and the body that its answer has to have. */
interface Asked {
  readonly method: 'GET' | 'POST'
  readonly text: string
  readonly body: string
}

/** One kind of request for each turn of a client: small and large, with and without a body, both framings. */
const KINDS: readonly ((path: string) => Asked)[] = [
  path => ({ method: 'GET', text: get(`${path}/small`), body: 'ok\n' }),
  path => ({ method: 'POST', text: post(`${path}/echo`, SMALL), body: SMALL }),
  path => ({ method: 'GET', text: get(`${path}/large`), body: LARGE }),
  path => ({ method: 'POST', text: chunked(`${path}/echo`, SMALL), body: SMALL }),
]

/** Makes an app answer the requests of a load below `path`. */
export function answerLoad(app: RecordingUpstream, path = '/load'): void {
  app.on(`${path}/echo`, echo)
  app.on(`${path}/large`, async (line, request) => {
    await request.whole()
    line.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(LARGE)}0\r\n\r\n`)
  })
}

/**
 * Clients that ask mixed requests one after the other, each on one connection that it never opens again: GET
 * and POST, small and large, both framings. Every byte of every answer is compared.
 */
export class Load {
  /** Requests that were sent, and those that were answered as they should be. */
  sent = 0
  answered = 0
  /** Answers that were not what they should be. */
  readonly wrong: string[] = []
  /** Connections that ended although nobody here had closed them. */
  lost = 0
  readonly #port: number
  readonly #paths: readonly string[]
  readonly #clients: Promise<void>[] = []
  #stopped = false

  /** `paths` take turns. */
  constructor(port: number, paths: readonly string[] = ['/load']) {
    this.#port = port
    this.#paths = paths
  }

  /** Connections that were opened. */
  get connections(): number {
    return this.#clients.length
  }

  /** Connections that are still there. */
  get open(): number {
    return this.connections - this.lost
  }

  /** Adds so many clients; resolves once they are connected. */
  async add(count: number): Promise<void> {
    const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(this.#port)))
    for (const client of clients) this.#clients.push(this.#run(client, this.connections))
  }

  /** Lets every client finish its request, then closes the connections. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#clients)
  }

  async #run(client: RawClient, offset: number): Promise<void> {
    try {
      for (let turn = offset; !this.#stopped; turn += 1) await this.#ask(client, turn)
    } catch (error) {
      if (client.ended === undefined) this.wrong.push(String(error))
    }
    if (client.ended !== undefined) this.lost += 1
    client.destroy()
  }

  async #ask(client: RawClient, turn: number): Promise<void> {
    const path = this.#paths[turn % this.#paths.length] as string
    const kind = KINDS[Math.floor(turn / this.#paths.length) % KINDS.length] as (path: string) => Asked
    const { method, text, body } = kind(path)
    client.send(text)
    this.sent += 1
    const answer = await client.response(method, PATIENCE_MS)
    if (answer.complete && answer.status === 200 && answer.body.equals(Buffer.from(body))) this.answered += 1
    else if (answer.complete)
      this.wrong.push(`${path}: ${answer.status} ${answer.body.toString('latin1', 0, 200)}`)
  }
}

const echo: Script = async (line, request) => {
  await request.whole()
  line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${request.bodyBytes}\r\n\r\n`)
  line.send(request.body)
}

function chunked(target: string, body: string): string {
  return `POST ${target} HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(body)}0\r\n\r\n`
}

function chunk(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n`
}
