import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Running } from '../../support/causeway.ts'
import { fallen } from '../../support/counters.ts'
import type { Metrics } from '../../support/metrics.ts'

/** What a process holds while nobody asks anything of it. */
export interface QuietSample {
  readonly hours: number
  readonly rssMiB: number
  readonly descriptors: number
  /** Lines of a scrape: every name that is remembered has some. */
  readonly series: number
}

const MIB = 1024 * 1024
const HOUR_MS = 3_600_000
/** Gone names may be shown for a while: a counter of theirs is not "fallen" once it is forgotten. */
const CHURNED = /new-\d+/

/** Takes a sample once the process has come to rest. */
export async function sampleOf(causeway: Running, sinceMs: number, restMs: number): Promise<QuietSample> {
  await delay(restMs)
  const { series } = await causeway.metrics()
  return {
    hours: (performance.now() - sinceMs) / HOUR_MS,
    rssMiB: causeway.rssBytes() / MIB,
    descriptors: readdirSync(`/proc/${causeway.pid}/fd`).length,
    series: series.length,
  }
}

/** Scrapes now and then, and remembers counters that fell. */
export class CounterGuard {
  readonly fallen: string[] = []
  scrapes = 0
  readonly #causeway: Running
  #last: Metrics | undefined

  constructor(causeway: Running) {
    this.#causeway = causeway
  }

  async look(): Promise<void> {
    const now = await this.#causeway.metrics()
    if (this.#last !== undefined) {
      this.fallen.push(
        ...fallen(this.#last, now).filter(line => !(CHURNED.test(line) && line.endsWith('undefined'))),
      )
    }
    this.#last = now
    this.scrapes += 1
  }
}
