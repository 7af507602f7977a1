import type { RestartReason, UncaughtKind } from '../../../metrics/facts.ts'
import type { Scrape } from '../../../metrics/scrape.ts'
import { CellColumn, type CellMemory } from '../../base/cells.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { HealthBoard } from '../health/health-board.ts'
import type { FromDataThread } from '../shared/messages.ts'
import type { PoolObserver } from './thread-pool.ts'

/** Whom the reports concern. */
export interface ThreadReportsParts {
  readonly log: ServerLog
  readonly board: HealthBoard
  readonly cells: CellMemory
  /** Errors of data threads that nobody caught. */
  readonly uncaught: Record<UncaughtKind, number>
  /** A function, because it is made after the threads whose counters it reads. */
  scrape(): Scrape
}

/** Takes what data threads report, and what their end means for all who count on them. */
export class ThreadReports implements PoolObserver {
  readonly #parts: ThreadReportsParts

  constructor(parts: ThreadReportsParts) {
    this.#parts = parts
  }

  message(thread: number, message: FromDataThread): void {
    const { log, board, uncaught } = this.#parts
    switch (message.type) {
      case 'ejected':
        board.ejected(message.upstream, message.endpoint, message.reason)
        return
      case 'unreachable':
        board.unreachable(message.upstream, message.endpoint, message.reason)
        return
      case 'suspect':
        board.suspected(message.upstream, message.endpoint)
        return
      case 'stalls':
        board.stalls(message.upstream, message.endpoint, message.forMs)
        return
      case 'noted':
        log[message.level](message.fields, message.event)
        return
      case 'fault': {
        const { kind, message: text, stack } = message
        uncaught[kind === 'unhandledRejection' ? 'rejection' : 'exception'] += 1
        const fields = { thread, kind, err: { message: text, stack } }
        if (kind === 'deadline') log.error(fields, 'a deadline failed')
        else log.fatal(fields, 'uncaught error')
        return
      }
      case 'applied':
      case 'drained':
      case 'cut':
      case 'pulse':
        // The thread's seat deals with these.
        return
    }
  }

  threadEnded(thread: number, reason: RestartReason, detail: string, againInMs: number): void {
    const { log, board, cells, scrape } = this.#parts
    log.error({ thread, reason, detail, again_in_ms: againInMs }, 'data thread replaced')
    scrape().clearGauges(new CellColumn(cells, thread))
    board.adoptMarks()
    board.wakeAll()
  }
}
