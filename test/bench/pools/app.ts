import { createServer, type ServerResponse } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { LARGE_BYTES, SMALL_BYTES } from '../upstream.ts'
import type { EndpointShape } from './shape.ts'

// The app of test/bench/pools.ts, all endpoints in one process: `app.ts
// '[{"port":..,"workers":4,"workMs":10}, ...]'`. `/` is work, `/lag` tells how late the event loop has been
// since it was asked last, `/10k` answers at once.

interface Job {
  readonly answer: ServerResponse
  readonly endMs: number
}

/**
 * Workers that take one request at a time, and one queue in front of them, in the order of arrival. A worker
 * is an instant until which it is busy: its next request begins exactly then, however late a timer fires, so
 * that the capacity is what was asked for.
 */
class Endpoint {
  readonly #workMs: number
  readonly #busyUntilMs: number[]
  /** In the order in which they end, because all take equally long. */
  readonly #jobs: Job[] = []
  #timer: NodeJS.Timeout | undefined

  constructor({ workers, workMs }: EndpointShape) {
    this.#workMs = workMs
    this.#busyUntilMs = Array.from({ length: workers }, () => 0)
  }

  work(answer: ServerResponse): void {
    const freeMs = Math.min(...this.#busyUntilMs)
    const endMs = Math.max(performance.now(), freeMs) + this.#workMs
    this.#busyUntilMs[this.#busyUntilMs.indexOf(freeMs)] = endMs
    this.#jobs.push({ answer, endMs })
    this.#watch()
  }

  #watch(): void {
    const first = this.#jobs[0]
    if (first === undefined || this.#timer !== undefined) return
    this.#timer = setTimeout(() => this.#finish(), Math.max(1, Math.floor(first.endMs - performance.now())))
  }

  #finish(): void {
    this.#timer = undefined
    const nowMs = performance.now()
    for (let job = this.#jobs[0]; job !== undefined && job.endMs <= nowMs; job = this.#jobs[0]) {
      this.#jobs.shift()
      job.answer.end(SMALL)
    }
    this.#watch()
  }
}

const SMALL = `${'.'.repeat(SMALL_BYTES - 1)}\n`
const LARGE = '.'.repeat(LARGE_BYTES)
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()

function lag(): string {
  const text = JSON.stringify({ p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 })
  delay.reset()
  return text
}

const shapes = JSON.parse(process.argv[2] ?? '') as readonly (EndpointShape & { readonly port: number })[]
for (const shape of shapes) {
  const endpoint = new Endpoint(shape)
  const server = createServer((asked, answer) => {
    if (asked.url === '/10k') answer.end(LARGE)
    else if (asked.url === '/lag') answer.end(lag())
    else endpoint.work(answer)
  })
  server.keepAliveTimeout = 600_000
  server.listen(shape.port, '127.0.0.1', 4096)
}
process.on('SIGTERM', () => process.exit(0))
