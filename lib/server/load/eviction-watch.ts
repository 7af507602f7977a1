import { LISTENER_BLOCK, REJECTIONS, type Rejection } from '../../../metrics/blocks.ts'
import type { PlacedListener } from '../../../metrics/placement.ts'
import type { CellReader } from '../../base/cells.ts'
import { Periodic } from '../../base/periodic.ts'
import type { Timers } from '../../base/timers.ts'

const LOOK_MS = 1000
/** Looks between two lines about the same. */
const QUIET_LOOKS = 10

const HELP: Readonly<Record<Rejection, string>> = {
  limit: 'raise limits.connections of the listener, or lower timeouts.keepalive',
  fd: 'raise the limit of open files (ulimit -n, LimitNOFILE=), or lower timeouts.keepalive',
}

/** What a line says: how many of this listener's clients, and why. */
export interface Eviction {
  readonly listener: string
  readonly reason: Rejection
  readonly closed: number
  readonly help: string
}

export interface EvictionWatchParts {
  readonly timers: Timers
  readonly log: { warn(facts: Eviction, event: string): void }
  readonly cells: CellReader
  /** Of the running configuration. */
  listeners(): readonly PlacedListener[]
}

/** What has been logged of one listener's count. */
interface Told {
  readonly count: number
  /** No line before this look. */
  readonly nextLook: number
}

/**
 * Logs how many idle clients were closed to make room for others, so that an operator sees why clients
 * reconnect.
 */
export class EvictionWatch {
  readonly #parts: EvictionWatchParts
  readonly #looks: Periodic
  #look = 0
  #told: ReadonlyMap<string, Told> = new Map()

  constructor(parts: EvictionWatchParts) {
    this.#parts = parts
    this.#looks = new Periodic(parts.timers, LOOK_MS, () => this.#lookAtAll())
  }

  /** Looks now, and from now on. */
  start(): void {
    this.#looks.run()
  }

  stop(): void {
    this.#looks.stop()
  }

  #lookAtAll(): void {
    this.#look += 1
    const told = new Map<string, Told>()
    for (const listener of this.#parts.listeners())
      for (const reason of REJECTIONS) told.set(`${listener.name}\n${reason}`, this.#lookAt(listener, reason))
    this.#told = told
  }

  /** A listener that is new here may have counted under the same name before. */
  #lookAt({ name, row }: PlacedListener, reason: Rejection): Told {
    const { cells, log } = this.#parts
    const count = cells.total(row + LISTENER_BLOCK.at.evicted + REJECTIONS.indexOf(reason))
    const before = this.#told.get(`${name}\n${reason}`) ?? { count, nextLook: this.#look }
    if (count === before.count || this.#look < before.nextLook) return before
    const facts = { listener: name, reason, closed: count - before.count, help: HELP[reason] }
    log.warn(facts, 'idle clients closed to make room for others')
    return { count, nextLook: this.#look + QUIET_LOOKS }
  }
}
