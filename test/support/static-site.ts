import { readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { CellColumn, createCellMemory } from '../../lib/base/cells.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { createSharedState, SharedState } from '../../lib/base/shared-state.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import { Timers } from '../../lib/base/timers.ts'
import type { CacheBounds } from '../../lib/static/bounded-cache.ts'
import { FileStore } from '../../lib/static/file-store.ts'
import { StaticHandler } from '../../lib/static/handler.ts'
import { type RecordedRequest, RecordingExchange } from './recording-exchange.ts'

/** Time that a test moves by hand. */
export class HandClock implements Clock {
  nowMs = 1_000_000
  wallMs = Date.UTC(2030, 0, 1)

  now(): number {
    return this.nowMs
  }

  wall(): number {
    return this.wallMs
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.wallMs += ms
  }
}

export interface SiteOptions {
  readonly index?: readonly string[]
  readonly routePath?: string
  readonly bounds?: CacheBounds
}

/** A static route over a real folder. */
export class TestSite {
  readonly clock = new HandClock()
  readonly store: FileStore
  readonly handler: StaticHandler
  readonly shelf

  constructor(root: string, { index = ['index.html'], routePath = '/', bounds }: SiteOptions = {}) {
    const env = threadEnv(this.clock)
    this.store = new FileStore(env, bounds)
    this.handler = new StaticHandler({ root, index, routePath, store: this.store, env })
    this.shelf = this.store.shelf(root, index, routePath)
  }

  /** Begins a request; the answer may still be on its way. */
  start(request: RecordedRequest): RecordingExchange {
    const exchange = new RecordingExchange(request)
    this.handler.handle(exchange)
    return exchange
  }

  /** The whole answer. */
  async get(
    target: string,
    ...fields: readonly (readonly [name: string, value: string])[]
  ): Promise<RecordingExchange> {
    const exchange = this.start({ target, fields })
    await exchange.done
    return exchange
  }
}

/** Descriptors of this process that are open on something below a folder; only Linux can say. */
export function openFilesBelow(folder: string): number {
  const real = realpathSync(folder)
  return readdirSync('/proc/self/fd').filter(fd => linkText(`/proc/self/fd/${fd}`).startsWith(`${real}/`))
    .length
}

function linkText(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function threadEnv(clock: Clock): ThreadEnv {
  return {
    clock,
    timers: new Timers(clock),
    cells: new CellColumn(createCellMemory(1, 8), 0),
    shared: new SharedState(createSharedState(1)),
    thread: 0,
    random: () => 0.5,
  }
}
