import type { Agenda } from './agenda.ts'
import { type Fault, Faults } from './fault.ts'
import { type Demand, type ServiceLaw, serviceMs } from './service-law.ts'

/** One app server, as it is described. */
export interface AppModel {
  readonly name: string
  /** Requests it works on at a time. */
  readonly workers: number
  /** Requests that may wait in its listen queue. */
  readonly backlog: number
  readonly service: ServiceLaw
  readonly faults: readonly Fault[]
}

/**
 * A request as the app sees it. Exactly one of the two calls is made, once, unless the app hangs for good.
 */
export interface Visitor {
  readonly demand: Demand
  /** Uniform in [0, 1): decides whether this one meets an error. */
  readonly luck: number
  /** A worker has begun. */
  begun(): void
  answered(status: number): void
  /** The connection was closed before the answer. */
  cut(): void
}

/** `dropped`: the listen queue is full, and the connect is not answered at all. */
export type Reception = 'taken' | 'refused' | 'dropped'

/** What an app has done so far. */
export interface AppTotals {
  readonly answered: number
  /** Worker milliseconds. */
  readonly busyMs: number
  readonly longestBacklog: number
}

/**
 * Workers of one app server behind a listen queue, first come first served, who do not notice when a client
 * leaves.
 */
export class App {
  readonly model: AppModel
  readonly #agenda: Agenda
  readonly #faults: Faults
  readonly #backlog: Visitor[] = []
  readonly #running = new Set<Visitor>()
  /** Requests that the present process works on: one that is being replaced finishes its own beside it. */
  #busy = 0
  /** Counts processes: a restart begins another. */
  #process = 0
  #answered = 0
  #busyMs = 0
  #busySinceMs = 0
  #longestBacklog = 0

  constructor(model: AppModel, agenda: Agenda) {
    this.model = model
    this.#agenda = agenda
    this.#faults = new Faults(model.faults)
    for (const fault of model.faults) this.#plan(fault)
  }

  get totals(): AppTotals {
    this.#countBusy()
    return { answered: this.#answered, busyMs: this.#busyMs, longestBacklog: this.#longestBacklog }
  }

  receive(visitor: Visitor): Reception {
    const nowMs = this.#agenda.now()
    if (this.#faults.refuses(nowMs)) return 'refused'
    if (this.#hasFreeWorker(nowMs)) {
      this.#begin(visitor)
      return 'taken'
    }
    if (this.#backlog.length >= this.model.backlog) return 'dropped'
    this.#backlog.push(visitor)
    this.#longestBacklog = Math.max(this.#longestBacklog, this.#backlog.length)
    return 'taken'
  }

  /** Somebody accepts connections. */
  get listens(): boolean {
    return !this.#faults.refuses(this.#agenda.now())
  }

  /** What a health page says. It needs no worker, as in apps that have one for it. */
  probe(luck: number): { readonly ok: true } | { readonly ok: false; readonly reason: string } {
    const nowMs = this.#agenda.now()
    if (!this.listens) return { ok: false, reason: 'connection refused' }
    if (this.#faults.hung(nowMs)) return { ok: false, reason: 'timed out' }
    return this.#faults.answersError(nowMs, luck) ? { ok: false, reason: 'answered 500' } : { ok: true }
  }

  #plan(fault: Fault): void {
    const { kind, fromMs, toMs } = fault
    if (kind === 'down') this.#agenda.at(fromMs, () => this.#die())
    if (kind === 'restart') this.#agenda.at(fromMs, () => this.#close())
    if (kind === 'hung' && toMs !== Number.POSITIVE_INFINITY) this.#agenda.at(toMs, () => this.#work())
  }

  #die(): void {
    const cut = [...this.#running]
    this.#running.clear()
    this.#close()
    for (const visitor of cut) visitor.cut()
  }

  /** Nobody accepts any more; the next process begins with idle workers. */
  #close(): void {
    this.#countBusy()
    this.#process += 1
    this.#busy = 0
    for (const visitor of this.#backlog.splice(0)) visitor.cut()
  }

  #hasFreeWorker(nowMs: number): boolean {
    return this.#busy < this.model.workers && this.#backlog.length === 0 && !this.#faults.hung(nowMs)
  }

  /** Free workers take from the listen queue. */
  #work(): void {
    if (this.#faults.hung(this.#agenda.now())) return
    while (this.#busy < this.model.workers) {
      const next = this.#backlog.shift()
      if (next === undefined) return
      this.#begin(next)
    }
  }

  #begin(visitor: Visitor): void {
    const { service } = this.model
    const workMs = serviceMs(service, visitor.demand) * this.#faults.slowFactor(this.#agenda.now())
    const process = this.#process
    this.#countBusy()
    this.#busy += 1
    this.#running.add(visitor)
    visitor.begun()
    this.#agenda.after(workMs, () => this.#finish(visitor, process))
  }

  #finish(visitor: Visitor, process: number): void {
    const nowMs = this.#agenda.now()
    // Killed meanwhile.
    if (!this.#running.has(visitor)) return
    if (this.#faults.hung(nowMs)) return this.#finishLater(visitor, process, nowMs)
    this.#running.delete(visitor)
    this.#answered += 1
    if (process === this.#process) {
      this.#countBusy()
      this.#busy -= 1
    }
    visitor.answered(this.#faults.answersError(nowMs, visitor.luck) ? 500 : 200)
    this.#work()
  }

  /** A process that is stopped finds its timers run out when it goes on. */
  #finishLater(visitor: Visitor, process: number, nowMs: number): void {
    const ends = this.#faults.all.filter(({ kind, fromMs, toMs }) => {
      return kind === 'hung' && fromMs <= nowMs && nowMs < toMs
    })
    const endMs = Math.max(...ends.map(({ toMs }) => toMs))
    if (endMs !== Number.POSITIVE_INFINITY) this.#agenda.at(endMs, () => this.#finish(visitor, process))
  }

  #countBusy(): void {
    const nowMs = this.#agenda.now()
    this.#busyMs += this.#busy * (nowMs - this.#busySinceMs)
    this.#busySinceMs = nowMs
  }
}
