/** What is opened during a run ends with it, last first: a tap test, or a `RunScope` where there is none. */
export interface Scope {
  teardown(end: () => Promise<void> | void): void
}

export class RunScope implements Scope {
  readonly #ends: (() => Promise<void> | void)[] = []

  teardown(end: () => Promise<void> | void): void {
    this.#ends.push(end)
  }

  async close(): Promise<void> {
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) await end()
  }
}
