import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import type { CellColumn, CellReader } from '../lib/base/cells.ts'
import type { Clock } from '../lib/base/clock.ts'
import type { SharedState } from '../lib/base/shared-state.ts'
import { CATALOGUE, GAUGE_CELLS } from './catalogue.ts'
import { cellSamples } from './cell-samples.ts'
import type { ControlFacts } from './facts.ts'
import type { Family, Sample, View } from './family.ts'
import type { Placement } from './placement.ts'
import { Shelves } from './shelves.ts'

export interface ScrapeOptions {
  readonly reader: CellReader
  readonly shared: SharedState
  readonly facts: ControlFacts
  readonly clock: Clock
  /** How long the counters of a removed object stay. */
  readonly retainMs?: number
}

const RETAIN_MS = 15 * 60_000
// Gauges that prom-client names like counters, which `promtool check metrics` refuses.
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

/**
 * Everything that /metrics says. prom-client keeps the registry, the text format and the process's own
 * metrics; ours are read from cells, shared words and facts at the moment of the scrape, so that counting
 * them costs traffic nothing.
 */
export class Scrape {
  readonly #options: ScrapeOptions
  readonly #registry = new Registry()
  readonly #shelves: Shelves
  /** Of everything ever placed. */
  readonly #gaugeRows = new Set<number>()
  #writing: Promise<string> | undefined = undefined
  #lastScrape = { series: 0, seconds: 0 }

  constructor(options: ScrapeOptions) {
    this.#options = options
    this.#shelves = new Shelves(options.retainMs ?? RETAIN_MS)
    for (const family of CATALOGUE) this.#register(family)
    collectDefaultMetrics({ register: this.#registry })
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /**
   * What the configuration has now. To be called with every new snapshot, before it is posted to the data
   * threads.
   */
  place(placement: Placement): void {
    this.#shelves.place(placement, this.#options.clock.now())
    for (const owner of ['spool', 'static', 'listener', 'upstream', 'endpoint'] as const) {
      for (const { row } of this.#shelves.live()[owner]) {
        for (const at of GAUGE_CELLS[owner]) this.#gaugeRows.add(row + at)
      }
    }
  }

  /** The cells of an exchange's block are about to be given to another name. */
  forgetting(row: number): void {
    this.#shelves.forgetting(row, this.#options.reader)
  }

  /**
   * Sets the gauges of a dead data thread's column to 0. Its counters stay, and its successor counts on from
   * them.
   */
  clearGauges(column: CellColumn): void {
    for (const row of this.#gaugeRows) column.set(row, 0)
  }

  /**
   * All metrics in Prometheus text format 0.0.4. Whoever asks while they are being written gets the same
   * text.
   */
  text(): Promise<string> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<string> {
    const { clock } = this.#options
    const beganMs = clock.now()
    const text = await this.#registry.metrics()
    this.#lastScrape = { series: seriesIn(text), seconds: (clock.now() - beganMs) / 1000 }
    return text
  }

  #register(family: Family): void {
    const { name, help, type } = family
    const metric = {
      name,
      help,
      type,
      aggregator: 'sum',
      get: () => ({ ...metric, values: this.#read(family) }),
    }
    // The registry asks a metric for no more than this; its type names prom-client's own classes.
    this.#registry.registerMetric(metric as unknown as Metric)
  }

  #read(family: Family): Sample[] {
    const { source } = family
    if (source.kind === 'read') return source.read(this.#view())
    const shelf = family.type === 'gauge' ? this.#shelves.live() : this.#kept()
    const rest = source.of === 'exchange' ? this.#shelves.rest : undefined
    return cellSamples(family, source, shelf[source.of], this.#options.reader, rest)
  }

  #kept() {
    return this.#shelves.kept(this.#options.clock.now())
  }

  #view(): View {
    const { shared, facts } = this.#options
    return { live: this.#shelves.live(), kept: this.#kept(), shared, facts, lastScrape: this.#lastScrape }
  }
}

/** Lines that are no comment and not empty. */
function seriesIn(text: string): number {
  let series = 0
  for (const line of text.split('\n')) if (line !== '' && !line.startsWith('#')) series += 1
  return series
}
