import type { RestartReason, WorkerFacts } from '../../../metrics/facts.ts'
import type { CellMemory } from '../../base/cells.ts'
import type { Clock } from '../../base/clock.ts'
import type { DescriptorLimits } from '../../base/descriptors.ts'
import type { LineRingMemory } from '../../base/line-ring.ts'
import { Periodic } from '../../base/periodic.ts'
import { SharedState, type SharedStateMemory } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import { within } from '../shared/alarm.ts'
import type {
  CutCounts,
  FromDataThread,
  ListenFailure,
  SnapshotMessage,
  ToDataThread,
} from '../shared/messages.ts'
import { type SeatObserver, ThreadSeat } from './thread-seat.ts'

/** How often the beats are looked at. */
const WATCH_MS = 1000
/** Without a beat for so long a data thread is stuck. */
const STUCK_MS = 10_000
/** A thread that loads its code and its first configuration may take this much longer on a busy machine. */
const START_FACTOR = 6
/** A thread that does not answer to a cut within this is ended all the same. */
const CUT_ANSWER_MS = 1000

export interface ThreadPoolOptions {
  readonly cells: CellMemory
  readonly shared: SharedStateMemory
  /** What the whole process may have open for its traffic. */
  readonly descriptors: DescriptorLimits
  /** One for each thread. */
  readonly lines: readonly LineRingMemory[]
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly timers: Timers
  readonly observer: PoolObserver
  /** For tests; else STUCK_MS. */
  readonly stuckMs?: number
  /** For tests: another program than the data thread's. */
  readonly entry?: URL
}

/** What the pool tells the control thread. */
export interface PoolObserver {
  message(thread: number, message: FromDataThread): void
  /** The thread has ended and what it held is given back. */
  threadEnded(thread: number, reason: RestartReason, detail: string, againInMs: number): void
}

interface Pulse {
  beats: number
  silentMs: number
}

/** All data threads. One that ends or gets stuck is replaced in its own column; the others go on. */
export class ThreadPool implements SeatObserver {
  readonly restarts: Record<RestartReason, number> = { exit: 0, stuck: 0 }
  readonly #options: ThreadPoolOptions
  readonly #shared: SharedState
  readonly #seats: readonly ThreadSeat[]
  readonly #pulses: readonly Pulse[]
  readonly #watch: Periodic

  constructor(options: ThreadPoolOptions) {
    const { cells, shared, env, clock, timers } = options
    const entry = options.entry === undefined ? {} : { entry: options.entry }
    this.#options = options
    this.#shared = new SharedState(shared)
    this.#seats = options.lines.map((lines, thread) => {
      const init = { thread, cells, shared, lines, descriptors: options.descriptors }
      return new ThreadSeat({ init, env, clock, timers, observer: this, ...entry })
    })
    this.#pulses = this.#seats.map(() => ({ beats: 0, silentMs: 0 }))
    this.#watch = new Periodic(timers, this.#lookMs, () => this.#lookAtBeats())
  }

  get #stuckMs(): number {
    return this.#options.stuckMs ?? STUCK_MS
  }

  get #lookMs(): number {
    return Math.min(WATCH_MS, this.#stuckMs / 4)
  }

  get facts(): WorkerFacts[] {
    return this.#seats.map(seat => seat.facts)
  }

  /** What every thread has taken by now. */
  get serial(): number {
    return Math.min(...this.#seats.map(seat => seat.serial))
  }

  /**
   * Hands a configuration to all threads, which are started if they do not run. Resolves with what could not
   * be bound.
   */
  async apply(message: SnapshotMessage): Promise<ListenFailure[]> {
    const all = await Promise.all(this.#seats.map(seat => seat.apply(message)))
    if (!this.#watch.started) this.#watch.start()
    return all.flat()
  }

  post(thread: number, message: ToDataThread): void {
    this.#seats[thread]?.post(message)
  }

  /** Accepts no more; resolves when nothing runs any more. */
  async drain(): Promise<void> {
    await Promise.all(this.#seats.map(seat => seat.drain()))
  }

  /** Cuts what is left, in all threads, and ends them; what there was. */
  async stop(): Promise<CutCounts> {
    const { timers } = this.#options
    this.#watch.stop()
    const cuts = await Promise.all(
      this.#seats.map(seat => within(timers, CUT_ANSWER_MS, seat.cut(), undefined)),
    )
    await Promise.all(this.#seats.map(seat => seat.stop()))
    return {
      exchanges: cuts.reduce((sum, cut) => sum + (cut?.exchanges ?? 0), 0),
      connections: cuts.reduce((sum, cut) => sum + (cut?.connections ?? 0), 0),
    }
  }

  // SeatObserver.

  message(thread: number, message: FromDataThread): void {
    this.#options.observer.message(thread, message)
  }

  ended(thread: number, reason: RestartReason, detail: string, againInMs: number): void {
    this.restarts[reason] += 1
    this.#shared.releaseAllOf(thread)
    const pulse = this.#pulses[thread]
    if (pulse !== undefined) pulse.silentMs = 0
    this.#options.observer.threadEnded(thread, reason, detail, againInMs)
  }

  /** Counts looks, not time: after a sleep of the whole machine nobody is stuck. */
  #lookAtBeats(): void {
    const stuckMs = this.#stuckMs
    const lookMs = this.#lookMs
    for (const [thread, seat] of this.#seats.entries()) {
      const pulse = this.#pulses[thread] as Pulse
      const beats = this.#shared.beats(thread)
      pulse.silentMs = beats === pulse.beats && seat.running ? pulse.silentMs + lookMs : 0
      pulse.beats = beats
      if (pulse.silentMs < (seat.starting ? stuckMs * START_FACTOR : stuckMs)) continue
      pulse.silentMs = 0
      seat.replaceStuck()
    }
  }
}
