/** What an endpoint did in some time. */
export interface Sample {
  /** Attempts that have ended. */
  readonly requests: number
  /** Of them: 5xx, or no answer. */
  readonly failures: number
  /** Answers that have begun, and the sum of the times until then. */
  readonly firstBytes: number
  readonly firstByteSumMs: number
}

const NOTHING: Sample = { requests: 0, failures: 0, firstBytes: 0, firstByteSumMs: 0 }

/** The last seconds of one endpoint, from totals that only grow. */
export class SampleWindow {
  readonly #seconds: number
  readonly #samples: Sample[] = []
  #totals: Sample | undefined

  constructor(seconds: number) {
    this.#seconds = seconds
  }

  /** Once a second: what was counted so far. The first totals say nothing: they are older. */
  push(totals: Sample): void {
    if (this.#totals !== undefined) this.#samples.push(difference(totals, this.#totals))
    if (this.#samples.length > this.#seconds) this.#samples.shift()
    this.#totals = totals
  }

  /** What it did before is no measure of what it does now. */
  clear(): void {
    this.#samples.length = 0
    this.#totals = undefined
  }

  get sum(): Sample {
    return total(this.#samples)
  }

  get last(): Sample {
    return this.#samples.at(-1) ?? NOTHING
  }
}

function difference(a: Sample, b: Sample): Sample {
  return {
    requests: a.requests - b.requests,
    failures: a.failures - b.failures,
    firstBytes: a.firstBytes - b.firstBytes,
    firstByteSumMs: a.firstByteSumMs - b.firstByteSumMs,
  }
}

/** Of several seconds, or endpoints. */
export function total(samples: readonly Sample[]): Sample {
  return samples.reduce(added, NOTHING)
}

function added(a: Sample, b: Sample): Sample {
  return {
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    firstBytes: a.firstBytes + b.firstBytes,
    firstByteSumMs: a.firstByteSumMs + b.firstByteSumMs,
  }
}
