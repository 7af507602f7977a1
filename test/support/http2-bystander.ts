import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Running } from './causeway.ts'
import { RawHttp2Client } from './raw-http2-client.ts'

const MIB = 1024 * 1024
/**
 * Most that an attack may add to our memory while it lasts: garbage that has not been collected yet, not what
 * it sent.
 */
const GROWTH = 64 * MIB
const EVERY_MS = 10

/**
 * Another client, on a connection of its own, that asks one request after the other and looks at our memory.
 */
export class Bystander {
  readonly #client: RawHttp2Client
  readonly #running: Running
  readonly #before: number
  #peak: number
  #over = false
  #answered = 0
  readonly #wrong: string[] = []

  private constructor(client: RawHttp2Client, running: Running) {
    this.#client = client
    this.#running = running
    this.#before = running.rssBytes()
    this.#peak = this.#before
  }

  /**
   * What comes of an attack, once a last request behind it has been answered; fails the test where others or
   * our memory suffered.
   */
  static async watch<T>(t: Test, running: Running, attack: () => Promise<T>): Promise<T> {
    const bystander = new Bystander(await RawHttp2Client.connect(running.port()), running)
    const asking = bystander.#ask()
    try {
      const result = await attack()
      bystander.#over = true
      await asking
      bystander.#judge(t)
      return result
    } finally {
      bystander.#over = true
      bystander.#client.destroy()
    }
  }

  async #ask(): Promise<void> {
    for (let last = false; !last && this.#client.ended === undefined; ) {
      last = this.#over
      const outcome = await this.#client.ask('/aside').catch((error: Error) => error.message)
      if (outcome === 200) this.#answered += 1
      else this.#wrong.push(String(outcome))
      if (!this.#running.exited) this.#peak = Math.max(this.#peak, this.#running.rssBytes())
      await pause(EVERY_MS)
    }
  }

  #judge(t: Test): void {
    t.same(this.#wrong, [], 'every request of another client was answered')
    t.ok(this.#answered > 0, `${this.#answered} answers to another client`)
    const grown = this.#peak - this.#before
    t.ok(grown < GROWTH, `RSS grew by ${Math.round(grown / MIB)} MiB`)
  }
}
