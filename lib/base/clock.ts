/**
 * Time for everything that decides by time. Injected, so that units run on a fake clock and the hot path
 * reads one number instead of building dates.
 */
export interface Clock {
  /** Milliseconds, monotonic, with a fraction; the same scale in every thread of the process. */
  now(): number
  /** Milliseconds since the epoch; may jump when the machine's clock is set. Only for people: logs, Date. */
  wall(): number
}

// performance.now() counts from the start of its own thread; hrtime counts from one origin for all threads.
const ORIGIN_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now()

export const systemClock: Clock = {
  now: () => ORIGIN_MS + performance.now(),
  wall: () => Date.now(),
}

/** The value of a Date field (RFC 9110 5.6.7), made once a second and not once an answer. */
export class HttpDate {
  readonly #clock: Clock
  #second = 0
  #text = ''

  constructor(clock: Clock) {
    this.#clock = clock
  }

  text(): string {
    const second = Math.floor(this.#clock.wall() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = new Date(second * 1000).toUTCString()
    }
    return this.#text
  }
}
