import type { Attempt, AttemptOwner, PooledEndpoint, PooledPlace, WaitingLine } from '../../upstreams/job.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { Priority } from '../config/model.ts'
import { ExchangeRecord } from '../http/record.ts'
import type { Arrival } from './load.ts'
import type { Demand } from './service-law.ts'
import type { End } from './tally.ts'
import { Visit, type VisitContext, type VisitingJob } from './visit.ts'

/** Whom a request tells of its end. */
export interface RequestOwner {
  ended(request: SimulatedRequest, end: End): void
}

/** One request in the dispatcher's hands. It has no bytes: its attempts are visits to simulated apps. */
export class SimulatedRequest implements VisitingJob {
  readonly method: string
  readonly idempotent: boolean
  readonly headText = ''
  readonly bodyFraming = 'none'
  readonly repeatable = true
  readonly key: number
  readonly priority: Priority
  readonly siblings = 1
  readonly wanted = undefined
  readonly record: ExchangeRecord
  tried: readonly PooledEndpoint[] | undefined = undefined
  unsent = 0
  readonly arrival: Arrival
  begun = 0
  readonly #context: VisitContext
  readonly #owner: RequestOwner
  #line: WaitingLine | undefined = undefined
  #attempt: Attempt | undefined = undefined
  #over = false

  constructor(arrival: Arrival, context: VisitContext, owner: RequestOwner) {
    this.arrival = arrival
    this.idempotent = arrival.idempotent
    this.method = arrival.idempotent ? 'GET' : 'POST'
    this.priority = arrival.priority
    this.key = Math.floor(arrival.placeDraw * 2 ** 32)
    this.record = new ExchangeRecord('', context.env.clock.now())
    this.#context = context
    this.#owner = owner
  }

  get demand(): Demand {
    return this.arrival.demand
  }

  get luck(): number {
    return this.arrival.luck
  }

  /** Its client does not wait any longer. Nothing if it has its answer. */
  leave(): void {
    if (this.#over) return
    this.#line?.withdraw(this)
    this.#attempt?.cancel()
    this.#end({ kind: 'left' })
  }

  dial(place: PooledPlace, owner: AttemptOwner): void {
    this.attempting(new Visit(this, place, owner, this.#context))
  }

  waitsIn(line: WaitingLine | undefined): void {
    this.#line = line
  }

  attempting(attempt: Attempt): void {
    this.#attempt = attempt
  }

  complete(status: number): void {
    this.#end({ kind: 'answer', status })
  }

  failed(code: ErrorCode): void {
    this.#end({ kind: 'failure', code })
  }

  // The rest of a Job is about bytes.

  uwsgiPacket(): string {
    return ''
  }

  http2Fields(): string[] {
    return []
  }

  proxyHeader(): string {
    return ''
  }

  bodyWanted(): void {}

  sendDrained(): void {}

  informed(): void {}

  answered(): void {}

  answerBytes(): boolean {
    return true
  }

  answerFlush(): void {}

  answerEnd(): void {}

  #end(end: End): void {
    if (this.#over) return
    this.#over = true
    this.#owner.ended(this, end)
  }
}
