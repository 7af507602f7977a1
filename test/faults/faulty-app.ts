import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Journal } from './journal.ts'

/** What it does with every request, probes included, once it has read the request whole. */
export type Manner = 'well' | 'answers 500' | 'resets' | 'closes' | 'never answers'

const WORK_MS = 5

/** An app that does the work of app.py, and breaks in the ways that one asks for. */
export class FaultyApp {
  /** `host:port` */
  readonly address: string
  readonly #server: Server
  readonly #journal: Journal
  manner: Manner = 'well'

  private constructor(address: string, journal: Journal) {
    this.address = address
    this.#journal = journal
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  static async start(journal: Journal, address: string): Promise<FaultyApp> {
    const app = new FaultyApp(address, journal)
    const [host, port] = address.split(':')
    app.#server.listen(Number(port), host)
    await once(app.#server, 'listening')
    return app
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for await (const _ of request); // the request has to be read whole before it counts as arrived
    const isProbe = request.url === '/healthz'
    const id = request.url?.split('/').at(-1) ?? ''
    if (!isProbe) this.#journal.note('arrived', id, this.address)
    switch (this.manner) {
      case 'well':
        if (isProbe) return void response.end('well\n')
        await pause(WORK_MS)
        this.#journal.note('executed', id, this.address)
        return void response.end(`did ${id}\n`)
      case 'answers 500':
        return void response.writeHead(500).end('broken\n')
      case 'resets':
        return void request.socket.resetAndDestroy()
      case 'closes':
        return void request.socket.destroy()
      case 'never answers':
        return
    }
  }
}
