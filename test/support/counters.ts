import { setTimeout as pause } from 'node:timers/promises'
import type { Running } from './causeway.ts'
import type { Metrics } from './metrics.ts'

const COUNTER = /^causeway_.*_(total|count|sum|bucket)$/
/** Between two scrapes of a watch, in milliseconds. */
const REST_MS = 10

/** Counters of `after` that are below what they were in `before`, or gone: there must be none. */
export function fallen(before: Metrics, after: Metrics): string[] {
  const now = countersOf(after)
  return [...countersOf(before)].flatMap(([key, value]) => {
    const then = now.get(key)
    return then !== undefined && then >= value ? [] : [`${key}: ${value}, then ${then}`]
  })
}

/** Scrapes one time after the other, and compares each scrape with the one before. */
export class CounterWatch {
  /** What fell, with both values. */
  readonly fallen: string[] = []
  scrapes = 0
  readonly #running: Running
  #last: Metrics | undefined
  #stopped = false
  readonly #done: Promise<void>

  /** Begins at once and goes on until `stop`. */
  constructor(running: Running) {
    this.#running = running
    this.#done = this.#watch()
  }

  /** Resolves after one more scrape. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
    await this.#scrape()
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      await this.#scrape()
      await pause(REST_MS)
    }
  }

  async #scrape(): Promise<void> {
    const now = await this.#running.metrics()
    if (this.#last !== undefined) this.fallen.push(...fallen(this.#last, now))
    this.#last = now
    this.scrapes += 1
  }
}

function countersOf({ series, keys }: Metrics): Map<string, number> {
  return new Map(
    series.flatMap(({ name, value }, i) => (COUNTER.test(name) ? [[keys[i] as string, value] as const] : [])),
  )
}
