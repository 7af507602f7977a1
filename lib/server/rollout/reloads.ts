/** How one reload went. Stands in /status and is what `causeway reload` prints. */
export interface ReloadResult {
  readonly ok: boolean
  /** When it was done, ISO 8601. */
  readonly at: string
  /** Generation that runs now. */
  readonly generation: number
  readonly hash: string
  /** Why it was refused, or what did not come up although it was taken. */
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * One reload at a time. Whoever asks while one runs shares the next, which sees the files as they are then.
 */
export class Reloads {
  readonly counts = { success: 0, failure: 0 }
  last: ReloadResult | undefined = undefined
  readonly #reload: () => Promise<ReloadResult>
  #running: Promise<ReloadResult> | undefined
  #next: Promise<ReloadResult> | undefined

  /** `reload` never rejects. */
  constructor(reload: () => Promise<ReloadResult>) {
    this.#reload = reload
  }

  request(): Promise<ReloadResult> {
    if (this.#running === undefined) return this.#begin()
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      return this.#begin()
    })
    return this.#next
  }

  #begin(): Promise<ReloadResult> {
    this.#running = this.#run()
    return this.#running
  }

  async #run(): Promise<ReloadResult> {
    const result = await this.#reload()
    this.counts[result.ok ? 'success' : 'failure'] += 1
    this.last = result
    this.#running = undefined
    return result
  }
}
