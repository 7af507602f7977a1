import { createServer, type Socket } from 'node:net'
import { LARGE_BYTES, SMALL_BYTES } from '../upstream.ts'
import type { AppReport } from './report.ts'

// The app of test/bench/race.ts: `app.ts IDLE_MS WORK_MS PORT...`. It closes a connection exactly so long
// after its last answer, without having said so. A request that arrives behind that is reset and never
// executed, as by a process that has closed its socket; but it is counted, because that is the race.

const [idleMs = 0, workMs = 0, ...ports] = process.argv.slice(2).map(Number)
const SMALL = answerOf('.'.repeat(SMALL_BYTES))
const LARGE = answerOf('.'.repeat(LARGE_BYTES))
/** How old an unused connection is to count as met in the race: 0.95 to 1.05 of its life. */
const NEAR = 0.05

const executed = new Map<string, number>()
let connections = 0
let nearInTime = 0
let tooLate = 0

function answerOf(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

function report(): string {
  const twice = [...executed].filter(([id, times]) => id.startsWith('POST') && times > 1).length
  const seen: AppReport = { executed: executed.size, postsTwice: twice, connections, nearInTime, tooLate }
  return answerOf(JSON.stringify(seen))
}

class Connection {
  readonly #socket: Socket
  #received = ''
  #freeAtMs: number | undefined
  #closing: NodeJS.Timeout | undefined
  #closed = false

  constructor(socket: Socket) {
    connections += 1
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', text => this.#take(String(text)))
    socket.on('end', () => this.#end())
    socket.on('error', () => {})
  }

  #take(text: string): void {
    if (this.#closed) {
      tooLate += 1
      this.#socket.resetAndDestroy()
      return
    }
    this.#received += text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#received)?.[1] ?? 0)
    if (this.#received.length < headEnd + 4 + length) return
    const [, path = ''] = this.#received.split(' ', 2)
    this.#received = ''
    this.#execute(path)
  }

  #execute(path: string): void {
    clearTimeout(this.#closing)
    const ageMs = this.#freeAtMs === undefined ? 0 : performance.now() - this.#freeAtMs
    if (ageMs >= idleMs * (1 - NEAR)) nearInTime += 1
    if (path === '/report') return this.#answer(report())
    if (path.endsWith('/10k')) return this.#answer(LARGE)
    const id = path.slice(path.lastIndexOf('/') + 1)
    if (id !== '') executed.set(id, (executed.get(id) ?? 0) + 1)
    setTimeout(() => this.#answer(SMALL), workMs)
  }

  #answer(text: string): void {
    this.#socket.write(text)
    this.#freeAtMs = performance.now()
    this.#closing = setTimeout(() => this.#close(), idleMs)
  }

  #close(): void {
    this.#closed = true
    this.#socket.end()
  }

  #end(): void {
    clearTimeout(this.#closing)
    this.#socket.destroy()
  }
}

for (const port of ports) {
  createServer({ allowHalfOpen: true }, socket => new Connection(socket)).listen(port, '127.0.0.1', 4096)
}
process.on('SIGTERM', () => process.exit(0))
