import type { Clock } from '../../lib/base/clock.ts'
import type { Deadline, Timers } from '../../lib/base/timers.ts'
import type { DiscoveryConfig, NamedEndpoints } from '../../lib/config/model.ts'
import { type Found, foundKey } from './found.ts'
import type { Lookups } from './lookups.ts'
import { AddressNumbers } from './numbers.ts'

/** What a watch works with. */
export interface WatchParts {
  readonly clock: Clock
  readonly timers: Timers
  /** Uniform in [0, 1). */
  random(): number
  readonly observer: NameObserver
}

/** What a watch tells: a change once, a trouble once. Addresses are `host:port`, without brackets. */
export interface NameObserver {
  changed(upstream: string, name: string, added: readonly string[], removed: readonly string[]): void
  /** Undefined: it can be looked up again. */
  troubled(upstream: string, name: string, problem: string | undefined): void
}

/** One address of a name as an endpoint. */
export interface Member {
  readonly found: Found
  readonly name: string
}

/** One name of one upstream, and how it is to be looked up. */
export interface Wanted {
  readonly upstream: string
  readonly named: NamedEndpoints
  readonly discovery: DiscoveryConfig
}

/** While a name is unknown it is asked for again after this, and up to as much again. */
const UNKNOWN_MS = 500
/** After a failure, and while the last answer is doubted. */
const AGAIN_MS = 1000
/**
 * How long a doubt lasts that nobody repeats: a container may take that long until it has its new address.
 */
const DOUBT_MS = 30_000
/** A failed lookup is repeated after this at the latest. */
const FAILED_MS = 5000
/** A lookup that takes longer is a trouble. It still goes on, and no other is begun beside it. */
const SLOW_MS = 5000
/** Intervals vary by so much either way, so that the names of a process spread. */
const JITTER = 0.1

/** Follows one name. The last good answer stays in force whatever happens to the name server. */
export class NameWatch implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #parts: WatchParts
  readonly #first = Promise.withResolvers<void>()
  readonly #numbers = new AddressNumbers()
  #wanted: Wanted
  #lookups: Lookups
  #found: readonly Found[] = []
  #problem: string | undefined = undefined
  #looking = false
  #askedMs = Number.NEGATIVE_INFINITY
  #doubtedUntilMs = Number.NEGATIVE_INFINITY
  /** What is looked up now is not what is asked for any more. */
  #stale = false
  #stopped = false

  /** Looks at once. */
  constructor(wanted: Wanted, lookups: Lookups, parts: WatchParts) {
    this.#wanted = wanted
    this.#lookups = lookups
    this.#parts = parts
    this.#look()
  }

  /** Resolves with the first answer, or the first failure. */
  get first(): Promise<void> {
    return this.#first.promise
  }

  /** Empty until the name is known for the first time. */
  get found(): readonly Found[] {
    return this.#found
  }

  /** Why the last lookup was for nothing. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** What each address is called, in the order of their numbers: the first has the name itself. */
  get members(): readonly Member[] {
    const { name } = this.#wanted.named
    const numbered = this.#found.map(found => ({ found, number: this.#numbers.of(foundKey(found)) }))
    const inOrder = numbered.sort((a, b) => a.number - b.number)
    return inOrder.map(({ found, number }) => ({ found, name: number === 1 ? name : `${name}/${number}` }))
  }

  /** What a reload says now. Asked anew at once where that changes the answer. */
  configure(wanted: Wanted, lookups: Lookups): void {
    const before = this.#wanted
    const same =
      lookups === this.#lookups &&
      wanted.discovery.family === before.discovery.family &&
      wanted.named.weight === before.named.weight &&
      wanted.named.backup === before.named.backup
    this.#wanted = wanted
    this.#lookups = lookups
    if (!same && this.#looking) this.#stale = true
    else if (!same) this.#look()
    else if (wanted.discovery.intervalMs !== before.discovery.intervalMs && !this.#looking) this.#rest()
  }

  /** An endpoint of the name has failed: it may stand for another address by now. */
  doubt(): void {
    const nowMs = this.#parts.clock.now()
    this.#doubtedUntilMs = nowMs + DOUBT_MS
    if (!this.#looking) this.#soon(this.#askedMs + AGAIN_MS - nowMs)
  }

  stop(): void {
    this.#stopped = true
    this.#parts.timers.disarm(this)
    this.#first.resolve()
  }

  expired(): void {
    if (this.#looking) this.#trouble(`no response within ${SLOW_MS / 1000} s`)
    else this.#look()
  }

  #look(): void {
    const { named, discovery } = this.#wanted
    this.#looking = true
    this.#stale = false
    this.#askedMs = this.#parts.clock.now()
    this.#parts.timers.arm(this, SLOW_MS)
    this.#lookups.find(named, discovery.family, this.#found).then(
      found => this.#answered(found),
      error => this.#failed(reasonOf(error)),
    )
  }

  #answered(found: readonly Found[]): void {
    // An empty answer is what a name server has while its registry starts, or a container is made anew.
    if (found.length === 0) return this.#failed('the name has no address')
    this.#looking = false
    if (this.#stopped) return
    const before = this.#found
    this.#found = found
    this.#trouble(undefined)
    if (!isSame(before, found)) this.#changed(before)
    this.#first.resolve()
    this.#rest()
  }

  #failed(reason: string): void {
    this.#looking = false
    if (this.#stopped) return
    this.#trouble(reason)
    this.#first.resolve()
    this.#rest()
  }

  #changed(before: readonly Found[]): void {
    const { upstream, named } = this.#wanted
    const old = before.map(foundText)
    const now = this.#found.map(foundText)
    this.#numbers.take(this.#found.map(foundKey))
    const added = now.filter(address => !old.includes(address))
    const removed = old.filter(address => !now.includes(address))
    this.#parts.observer.changed(upstream, named.name, added, removed)
  }

  #trouble(problem: string | undefined): void {
    const flipped = (problem === undefined) !== (this.#problem === undefined)
    this.#problem = problem
    // Once per trouble, though a dead name server is slow first and then fails.
    if (flipped) this.#parts.observer.troubled(this.#wanted.upstream, this.#wanted.named.name, problem)
  }

  /** Until the next lookup. */
  #rest(): void {
    const { clock, timers, random } = this.#parts
    const { intervalMs } = this.#wanted.discovery
    const usualMs = intervalMs * (1 - JITTER + 2 * JITTER * random())
    timers.disarm(this)
    if (this.#stale) return this.#look()
    if (this.#found.length === 0) timers.arm(this, UNKNOWN_MS * (1 + random()))
    else if (clock.now() < this.#doubtedUntilMs) timers.arm(this, Math.min(usualMs, AGAIN_MS))
    else if (this.#problem !== undefined) timers.arm(this, Math.min(usualMs, FAILED_MS))
    else timers.arm(this, usualMs)
  }

  #soon(delayMs: number): void {
    const { clock, timers } = this.#parts
    if (this.dueMs <= clock.now() + delayMs) return
    timers.disarm(this)
    timers.arm(this, Math.max(0, delayMs))
  }
}

function isSame(before: readonly Found[], found: readonly Found[]): boolean {
  return JSON.stringify(before) === JSON.stringify(found)
}

function foundText({ host, port }: Found): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOTFOUND':
      return 'the name does not exist'
    case 'EAI_AGAIN':
    case 'ETIMEOUT':
      return 'no name server responds'
    case 'ESERVFAIL':
      return 'the name server failed'
    case 'ECONNREFUSED':
      return 'no name server listens at the configured address'
    default:
      return code ?? message
  }
}
