import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { Clock } from '../../lib/base/clock.ts'

/** How long addresses are used without asking again: containers move, and their names follow at once. */
const KEEP_MS = 5000
/**
 * How long a failure, or an answer that was doubted, stands: a name server that is down is not asked at each
 * connect.
 */
const RETRY_MS = 1000

type Callback = Parameters<LookupFunction>[2]

/** Asks the system for all addresses of a name. */
export type Resolve = (
  hostname: string,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

interface Waiting {
  readonly all: boolean
  readonly callback: Callback
}

/**
 * The addresses of one endpoint's name. The system's lookup takes one of the few threads that files need too,
 * and a name server that does not answer holds it for many seconds: so one lookup runs at a time, whatever
 * the number of connects, and the last good answer is used on where the next one fails.
 */
export class HostLookup {
  readonly #clock: Clock
  readonly #resolve: Resolve
  #addresses: LookupAddress[] | undefined = undefined
  #error: NodeJS.ErrnoException | null = null
  #askedMs = Number.NEGATIVE_INFINITY
  /** When the next lookup is to be made. */
  #dueMs = Number.NEGATIVE_INFINITY
  #doubted = false
  #running = false
  #waiting: Waiting[] = []

  constructor(clock: Clock, resolve: Resolve = resolveBySystem) {
    this.#clock = clock
    this.#resolve = resolve
  }

  /** For `net.connect`. Never calls back before it returns. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    const waiting = { all: options.all === true, callback }
    const isDue = this.#clock.now() >= this.#dueMs
    if (isDue && !this.#running) this.#ask(hostname)
    if (this.#running && (this.#addresses === undefined || this.#doubted)) this.#waiting.push(waiting)
    else process.nextTick(() => this.#answer(waiting))
  }

  /** A connect has failed: the name may stand for another address by now. */
  doubt(): void {
    this.#doubted = true
    this.#dueMs = Math.min(this.#dueMs, this.#askedMs + RETRY_MS)
  }

  #ask(hostname: string): void {
    this.#running = true
    this.#askedMs = this.#clock.now()
    this.#resolve(hostname, (error, addresses) => this.#asked(error, addresses))
  }

  #asked(error: NodeJS.ErrnoException | null, addresses: LookupAddress[]): void {
    this.#running = false
    this.#doubted = false
    this.#error = error
    if (error === null && addresses.length > 0) this.#addresses = addresses
    this.#dueMs = this.#clock.now() + (error === null ? KEEP_MS : RETRY_MS)
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) this.#answer(one)
  }

  #answer({ all, callback }: Waiting): void {
    const first = this.#addresses?.[0]
    if (this.#addresses === undefined || first === undefined) callback(this.#error ?? nothingFound(), [])
    else if (all) callback(null, this.#addresses)
    else callback(null, first.address, first.family)
  }
}

function resolveBySystem(hostname: string, done: Parameters<Resolve>[1]): void {
  systemLookup(hostname, { all: true }, done)
}

function nothingFound(): NodeJS.ErrnoException {
  return Object.assign(new Error('the name has no address'), { code: 'ENOTFOUND' })
}
