import {
  ABORT_PHASES,
  type AbortPhase,
  CODES,
  codeIndex,
  EXCHANGE_BLOCK,
  METHODS,
  methodIndex,
} from '../../../metrics/blocks.ts'
import { tunnelRoute } from '../../../metrics/placement.ts'
import { FINE_BOUNDS, LATENCY_BOUNDS } from '../../base/cells.ts'
import { END_CAUSES, ERROR_CODES, traitsOf } from '../../base/errors.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { ExchangeFacts } from '../../http/exchange.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { AccessLine } from './access-line.ts'
import type { TunnelFacts } from './tunnel-facts.ts'

export interface AccessOptions {
  readonly env: ThreadEnv
  /** First row of the EXCHANGE_BLOCK; a route of undefined means that none was found. */
  rowOf(listener: string, route: string | undefined): number
  /** Takes a line with its line end; undefined when the access log is off. */
  readonly writeLine: ((line: string) => void) | undefined
}

const AT = EXCHANGE_BLOCK.at
const OTHER_METHOD = METHODS.indexOf('other')
const END_INDEX: ReadonlyMap<string, number> = new Map(END_CAUSES.map((end, i) => [end, i]))
/** In the order of END_CAUSES; 0 for `ok`. */
const END_STATUS: readonly number[] = [0, ...ERROR_CODES.map(code => traitsOf(code).status)]
/** An answer up to this fits into the socket's buffer, so that the client's speed is not in its time. */
const SMALL_BYTES = 64 * 1024

/** The end of every exchange: its cells counted, and one line written. One a data thread. */
export class AccessRecorder {
  readonly #env: ThreadEnv
  readonly #options: AccessOptions
  readonly #line: AccessLine

  constructor(options: AccessOptions) {
    this.#env = options.env
    this.#options = options
    this.#line = new AccessLine(options.env.clock)
  }

  /** To be called exactly once an exchange, also for one that was refused. Hot. */
  finished(exchange: ExchangeFacts): void {
    const { record } = exchange
    const endMs = this.#env.clock.now()
    if (record.status === 0) record.status = END_STATUS[endIndex(record)] as number
    this.#count(exchange, endMs)
    const { writeLine } = this.#options
    if (writeLine !== undefined) writeLine(this.#line.text(exchange, endMs))
  }

  /** The same for a tunnel. How long it lives, its users decide: that is no latency. */
  tunnelEnded(tunnel: TunnelFacts): void {
    const { client, record } = tunnel
    const endMs = this.#env.clock.now()
    if (record.status === 0) record.status = END_STATUS[endIndex(record)] as number
    const { cells } = this.#env
    const row = this.#options.rowOf(client.listener, tunnelRoute(tunnel.tunnel))
    cells.add(row + AT.requests + OTHER_METHOD * CODES.length + codeIndex(record.status), 1)
    cells.add(row + AT.bytesIn, record.bytesIn)
    cells.add(row + AT.bytesOut, record.bytesOut)
    cells.add(row + AT.ends + endIndex(record), 1)
    if (record.end === 'client_gone')
      cells.add(row + AT.aborts + ABORT_PHASES.indexOf(tunnelAbortPhase(record)), 1)
    const { writeLine } = this.#options
    if (writeLine !== undefined) writeLine(this.#line.tunnelText(tunnel, endMs))
  }

  #count(exchange: ExchangeFacts, endMs: number): void {
    const { record, request } = exchange
    const { cells } = this.#env
    const row = this.#options.rowOf(exchange.client.listener, record.route)
    cells.add(row + AT.requests + methodIndex(request.method) * CODES.length + codeIndex(record.status), 1)
    // A tunnel lives as long as its users like: that is no latency.
    if (record.status !== 101)
      cells.observe(row + AT.duration, LATENCY_BOUNDS, (endMs - record.startMs) / 1000)
    cells.add(row + AT.bytesIn, record.bytesIn)
    cells.add(row + AT.bytesOut, record.bytesOut)
    if (record.end === 'ok') {
      cells.add(row + AT.ends, 1)
      this.#countOverhead(exchange, row, endMs)
    } else this.#countFailure(exchange, row)
  }

  #countFailure(exchange: ExchangeFacts, row: number): void {
    const { record } = exchange
    const { cells } = this.#env
    const end = endIndex(record)
    cells.add(row + AT.ends + end, 1)
    if (record.end === 'client_gone')
      cells.add(row + AT.aborts + ABORT_PHASES.indexOf(abortPhase(exchange)), 1)
    // An answer that had begun with another status was the upstream's, and was cut.
    else if (record.bytesOut > 0 && record.status === END_STATUS[end]) cells.add(row + AT.generated + end, 1)
  }

  /**
   * Only where nobody but us and one endpoint could take time: no body to wait for, one attempt, a small
   * answer.
   */
  #countOverhead(exchange: ExchangeFacts, row: number, endMs: number): void {
    const { record, request } = exchange
    if (record.attempts > 1 || record.bytesOut > SMALL_BYTES || request.framing !== 'none') return
    if (record.status === 101) return
    const { sentAtMs, upstreamEndAtMs, startMs, queueMs, connectMs } = record
    const awayMs = sentAtMs === undefined || upstreamEndAtMs === undefined ? 0 : upstreamEndAtMs - sentAtMs
    const ownMs = endMs - startMs - queueMs - connectMs - awayMs
    this.#env.cells.observe(row + AT.overhead, FINE_BOUNDS, ownMs > 0 ? ownMs / 1000 : 0)
  }
}

function endIndex(record: ExchangeRecord): number {
  return END_INDEX.get(record.end) as number
}

/** What was going on when the client left. */
function abortPhase(exchange: ExchangeFacts): AbortPhase {
  const { record } = exchange
  if (exchange.answered) return 'response'
  if (record.attempts === 0 && record.queueMs > 0) return 'queue'
  if (!exchange.bodyDone) return 'request'
  if (record.attempts > 0) return 'upstream'
  return record.upstream === undefined ? 'request' : 'queue'
}

function tunnelAbortPhase({ attempts, firstByteAtMs }: ExchangeRecord): AbortPhase {
  if (attempts === 0) return 'queue'
  return firstByteAtMs === undefined ? 'upstream' : 'response'
}
