import type { EventLoopUtilization } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import type { RestartReason, WorkerFacts, WorkerState } from '../../../metrics/facts.ts'
import type { Clock } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import { Alarm } from '../shared/alarm.ts'
import { Backoff } from '../shared/backoff.ts'
import type {
  CutCounts,
  DataThreadInit,
  FromDataThread,
  ListenFailure,
  SnapshotMessage,
  ToDataThread,
} from '../shared/messages.ts'
import { offerCollection } from '../shared/thread-memory.ts'
import { busyShare } from './loop-share.ts'

const RESTART = { firstMs: 50, maxMs: 5000, resetAfterMs: 10_000 } as const

/**
 * What a data thread makes for an exchange dies with it, so more room for the young only means more memory:
 * the same CPU time, and 30 MiB less under load than V8's own choice. With 4 the collector comes so often
 * that it takes the living for old.
 */
const YOUNG_MIB = 16

// The sources run as they are in a checkout, and compiled from dist/.
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../data/data-thread.ts' : '../data/data-thread.js',
  import.meta.url,
)

/** What a seat tells the pool. */
export interface SeatObserver {
  message(thread: number, message: FromDataThread): void
  /** The thread is really gone; its successor starts after `againInMs`. */
  ended(thread: number, reason: RestartReason, detail: string, againInMs: number): void
}

export interface SeatOptions {
  readonly init: DataThreadInit
  /** Environment of the thread; decides where Node keeps compiled code. */
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly timers: Timers
  readonly observer: SeatObserver
  /** For tests: another program than the data thread's. */
  readonly entry?: URL
}

interface Waiting {
  readonly serial: number
  readonly resolve: (failures: readonly ListenFailure[]) => void
}

/** One data thread's place: column, share of the slots, and whichever worker sits there now. */
export class ThreadSeat {
  readonly #options: SeatOptions
  readonly #backoff = new Backoff(RESTART)
  readonly #again: Alarm
  #worker: Worker | undefined
  #startedMs = 0
  #state: WorkerState = 'stopped'
  #current: SnapshotMessage | undefined
  #waiting: readonly Waiting[] = []
  #generation = 0
  /** What the worker has confirmed last. */
  #serial = 0
  #loopLagMs: number | undefined
  /** Of the time from one pulse to the next; Node's own figure is of the thread's whole life. */
  #loopUtilization: number | undefined
  #loopBefore: EventLoopUtilization | undefined
  #drained = Promise.withResolvers<void>()
  #cut = Promise.withResolvers<CutCounts>()
  #exited = Promise.withResolvers<void>()
  #reason: RestartReason = 'exit'
  #error = ''
  #stopping = false

  constructor(options: SeatOptions) {
    this.#options = options
    this.#again = new Alarm(options.timers, () => this.#start())
  }

  get thread(): number {
    return this.#options.init.thread
  }

  get running(): boolean {
    return this.#worker !== undefined
  }

  /** True until its first configuration is in force. */
  get starting(): boolean {
    return this.#state === 'starting'
  }

  /**
   * The serial that is in force here; Infinity while nobody sits here: whoever comes begins with the newest.
   */
  get serial(): number {
    return this.#worker === undefined ? Number.POSITIVE_INFINITY : this.#serial
  }

  get facts(): WorkerFacts {
    return {
      thread: this.thread,
      state: this.#state,
      generation: this.#generation,
      loopLagMs: this.#loopLagMs,
      loopUtilization: this.#loopUtilization,
    }
  }

  /**
   * Runs this configuration from now on, in whichever worker. Resolves once it does, with what could not be
   * bound.
   */
  apply(message: SnapshotMessage): Promise<readonly ListenFailure[]> {
    this.#current = message
    if (this.#stopping && this.#worker === undefined) return Promise.resolve([])
    return new Promise(resolve => {
      this.#waiting = [...this.#waiting, { serial: message.serial, resolve }]
      if (this.#worker !== undefined) this.post(message)
      else if (!this.#again.pending) this.#start()
    })
  }

  post(message: ToDataThread): void {
    this.#worker?.postMessage(message)
  }

  /** Resolves when the thread has nothing left to do, or is gone. */
  async drain(): Promise<void> {
    if (this.#worker === undefined) return
    this.#stopping = true
    this.#state = 'draining'
    this.post({ type: 'drain' })
    await Promise.race([this.#drained.promise, this.#exited.promise])
  }

  /** Cuts what runs; what that was. Undefined if the thread is gone. */
  async cut(): Promise<CutCounts | undefined> {
    if (this.#worker === undefined) return undefined
    this.post({ type: 'cut' })
    return Promise.race([this.#cut.promise, this.#exited.promise.then(() => undefined)])
  }

  /** Ends the worker for good. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#again.clear()
    await this.#worker?.terminate()
    this.#state = 'stopped'
  }

  /** Ends a worker that does not answer any more; it is replaced. */
  replaceStuck(): void {
    this.#reason = 'stuck'
    void this.#worker?.terminate()
  }

  #start(): void {
    const { init, env, clock } = this.#options
    // Should the system refuse the thread, it is asked again.
    this.#again.set(RESTART.maxMs)
    this.#state = 'starting'
    this.#startedMs = clock.now()
    this.#drained = Promise.withResolvers<void>()
    this.#cut = Promise.withResolvers<CutCounts>()
    this.#exited = Promise.withResolvers<void>()
    this.#serial = 0
    this.#reason = 'exit'
    this.#error = ''
    this.#loopUtilization = undefined
    this.#loopBefore = undefined
    offerCollection()
    const worker = new Worker(this.#options.entry ?? ENTRY, {
      workerData: init,
      env,
      name: `data-${init.thread}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    })
    this.#worker = worker
    this.#again.clear()
    worker.on('message', (message: FromDataThread) => this.#take(message))
    worker.on('error', error => {
      this.#error = error instanceof Error ? error.message : String(error)
    })
    worker.once('exit', code => this.#ended(code))
    if (this.#current !== undefined) this.post(this.#current)
  }

  #take(message: FromDataThread): void {
    switch (message.type) {
      case 'applied':
        this.#generation = message.generation
        this.#applied(message.serial, message.failures)
        return
      case 'drained':
        this.#drained.resolve()
        return
      case 'cut':
        this.#cut.resolve(message)
        return
      case 'pulse':
        this.#loopLagMs = message.loopDelayMs
        this.#measureLoop()
        return
      case 'fault':
        // The thread outlives what a deadline throws: that is not why it ends.
        if (message.kind !== 'deadline') this.#error = message.message
        break
      case 'ejected':
      case 'unreachable':
      case 'suspect':
      case 'stalls':
      case 'noted':
        break
    }
    this.#options.observer.message(this.thread, message)
  }

  #measureLoop(): void {
    const now = this.#worker?.performance.eventLoopUtilization()
    this.#loopUtilization = now === undefined ? undefined : busyShare(this.#loopBefore, now)
    this.#loopBefore = now
  }

  #applied(serial: number, failures: readonly ListenFailure[]): void {
    this.#serial = serial
    if (this.#state === 'starting') this.#state = 'running'
    const done = this.#waiting.filter(it => it.serial <= serial)
    this.#waiting = this.#waiting.filter(it => it.serial > serial)
    for (const it of done) it.resolve(failures)
  }

  #ended(code: number): void {
    this.#worker = undefined
    this.#state = 'stopped'
    this.#exited.resolve()
    const detail = this.#error === '' ? `exited with status ${code}` : this.#error
    for (const it of this.#waiting)
      it.resolve([{ listener: '*', address: '*', message: `the data thread exited: ${detail}` }])
    this.#waiting = []
    if (this.#stopping) return
    const againInMs = this.#backoff.delayAfter(this.#options.clock.now() - this.#startedMs)
    this.#options.observer.ended(this.thread, this.#reason, detail, againInMs)
    this.#again.set(againInMs)
  }
}
