import { afterProbe, type Health, isFlip, type Probe, serving } from '../../upstreams/health/health.ts'
import { paceMs } from '../../upstreams/health/pace.ts'
import type { HealthConfig } from '../config/model.ts'
import type { Agenda } from './agenda.ts'

/** No two probes of an endpoint begin within this time, as in the real prober. */
const MIN_GAP_MS = 100
const JITTER = 0.1

/** What the probing of one endpoint is given. */
export interface ProbingOptions {
  readonly agenda: Agenda
  readonly rules: HealthConfig
  /** Uniform in [0, 1). */
  random(): number
  probe(): Probe
  /** Nothing of the upstream is ready. */
  held(): boolean
  passed(): void
  flipped(health: Health): void
}

/** Active checks of one endpoint. They take no time: a probe that cannot pass fails at once. */
export class Probing {
  readonly #options: ProbingOptions
  #health: Health
  #sinceMs = 0
  #lastMs: number
  #suspected = false
  /** When the next one is due; a sooner one takes its place. */
  #nextMs = Number.POSITIVE_INFINITY

  constructor(options: ProbingOptions) {
    this.#options = options
    // It has been up for long when the simulation begins.
    this.#health = afterProbe(serving(options.rules), { ok: true }, options.rules)
    this.#lastMs = options.agenda.now() - options.random() * options.rules.intervalMs
    this.#plan(options.rules.intervalMs)
  }

  /** Traffic has failed there: the next probe is due at once. */
  hasten(): void {
    this.#suspected = true
    this.#plan(MIN_GAP_MS)
  }

  /** Time from the last one to the next. */
  #plan(gapMs: number): void {
    const { agenda } = this.#options
    const atMs = Math.max(agenda.now(), this.#lastMs + gapMs)
    if (atMs >= this.#nextMs) return
    this.#nextMs = atMs
    agenda.at(atMs, () => {
      if (this.#nextMs === atMs) this.#run()
    })
  }

  #run(): void {
    const { agenda, rules, probe, passed, flipped } = this.#options
    const found = probe()
    const before = this.#health
    this.#health = afterProbe(before, found, rules)
    this.#lastMs = agenda.now()
    this.#nextMs = Number.POSITIVE_INFINITY
    if (before.state !== this.#health.state) this.#sinceMs = this.#lastMs
    if (found.ok) {
      this.#suspected = false
      passed()
    }
    if (isFlip(before, this.#health)) flipped(this.#health)
    this.#plan(this.#gapMs())
  }

  #gapMs(): number {
    const { rules, held, random } = this.#options
    const pace = {
      intervalMs: rules.intervalMs,
      health: this.#health,
      lastedMs: this.#lastMs - this.#sinceMs,
      held: held(),
      suspected: this.#suspected,
    }
    return Math.max(MIN_GAP_MS, paceMs(pace) * (1 + JITTER * (2 * random() - 1)))
  }
}
