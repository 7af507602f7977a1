import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * silent: has not asked yet, or not again. working: its answer is being made. taking: its answer is made, and
 * not yet delivered. Each in the order in which they became that.
 */
type State = 'silent' | 'working' | 'taking'

/** Time without a byte taken of an answer. */
const TAKING_MS = 10_000

/**
 * The clients of the admin listener: a bounded number, among whom a newcomer always finds a place. Whoever
 * has been silent for longest makes room, because a probe or a scrape asks at once; so no number of clients
 * that never ask keeps the others out.
 */
export class AdminConnections {
  readonly #places: number
  readonly #byState: Readonly<Record<State, Set<Socket>>> = {
    silent: new Set(),
    working: new Set(),
    taking: new Set(),
  }

  /** `places`: connections that may be open. */
  constructor(places: number) {
    this.#places = places
  }

  /** Watches all clients of this server. Before it listens. */
  follow(server: Server): void {
    server.on('connection', socket => this.#accept(socket))
    server.prependListener('request', (request, response) => this.#asked(request, response))
    server.on('clientError', (_error, socket) => this.#refuse(socket as Socket))
    server.on('timeout', socket => socket.destroy())
  }

  /**
   * May one more page be made that has no place kept for it? Half of the places are for probes and scrapes.
   */
  get hasRoomForPage(): boolean {
    return this.#byState.working.size <= this.#places / 2
  }

  get #size(): number {
    const { silent, working, taking } = this.#byState
    return silent.size + working.size + taking.size
  }

  #accept(socket: Socket): void {
    if (this.#size >= this.#places) this.#makeRoom()
    this.#byState.silent.add(socket)
    socket.once('close', () => this.#forget(socket))
  }

  #makeRoom(): void {
    const { silent, working, taking } = this.#byState
    for (const longest of [silent, taking, working]) {
      const [socket] = longest
      if (socket === undefined) continue
      this.#forget(socket)
      socket.destroy()
      return
    }
  }

  #asked({ socket }: IncomingMessage, response: ServerResponse): void {
    this.#move(socket, 'working')
    response.once('prefinish', () => {
      socket.setTimeout(TAKING_MS)
      this.#move(socket, 'taking')
    })
    response.once('finish', () => this.#move(socket, 'silent'))
  }

  /** No request, or too slow a one. Its client may keep its half open: it is not waited for. */
  #refuse(socket: Socket): void {
    if (socket.writable)
      socket.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    socket.destroySoon()
  }

  #move(socket: Socket, to: State): void {
    if (socket.destroyed) return
    this.#forget(socket)
    this.#byState[to].add(socket)
  }

  #forget(socket: Socket): void {
    for (const sockets of Object.values(this.#byState)) sockets.delete(socket)
  }
}
