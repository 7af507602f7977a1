import { setTimeout as delay } from 'node:timers/promises'

/** One thing that is done over and over while a churn runs. */
export interface Act {
  readonly name: string
  /** Rest behind each turn. */
  readonly restMs: number
  /** One turn; `n` counts from 0. What it throws is counted, and does not end the act. */
  turn(n: number): Promise<void>
}

/** How an act went. */
export interface Tally {
  turns: number
  /** Turns that threw, by what they said. */
  readonly failures: Map<string, number>
}

/** Acts side by side, which can be paused all together. */
export class Acts {
  readonly tallies = new Map<string, Tally>()
  readonly #acts: readonly Act[]
  readonly #next = new Map<string, number>()
  #running: Promise<void>[] = []
  #going = false

  constructor(acts: readonly Act[]) {
    this.#acts = acts
    for (const { name } of acts) this.tallies.set(name, { turns: 0, failures: new Map() })
  }

  begin(): void {
    this.#going = true
    this.#running = this.#acts.map(act => this.#run(act))
  }

  /** Resolves once every act has finished its turn. */
  async pause(): Promise<void> {
    this.#going = false
    await Promise.all(this.#running)
  }

  async #run(act: Act): Promise<void> {
    while (this.#going) {
      await this.#turn(act)
      await delay(act.restMs)
    }
  }

  async #turn(act: Act): Promise<void> {
    const n = this.#next.get(act.name) ?? 0
    this.#next.set(act.name, n + 1)
    const tally = this.tallies.get(act.name)
    if (tally === undefined) return
    try {
      await act.turn(n)
    } catch (error) {
      const words = (error instanceof Error ? error.message : String(error))
        .replaceAll(/\d{4,}/g, 'N')
        .slice(0, 120)
      tally.failures.set(words, (tally.failures.get(words) ?? 0) + 1)
    }
    tally.turns += 1
  }
}
