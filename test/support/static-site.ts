import { readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { CellColumn, createCellMemory } from '../../lib/base/cells.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { Descriptors } from '../../lib/base/descriptors.ts'
import { createSharedState, SharedState } from '../../lib/base/shared-state.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import { Timers } from '../../lib/base/timers.ts'
import type { Coding } from '../../lib/http/coding.ts'
import type { CacheBounds } from '../../lib/static/bounded-cache.ts'
import type { FileShelf } from '../../lib/static/file-shelf.ts'
import { FileStore, type ShelfOptions } from '../../lib/static/file-store.ts'
import { StaticHandler } from '../../lib/static/handler.ts'
import type { CompressionResult } from '../../lib/static/static-measures.ts'
import type { ReleaseFacts, StaticObserver } from '../../lib/static/static-observer.ts'
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
  readonly heldBytes?: number
  readonly manifest?: boolean
  readonly keepMs?: number
  readonly compress?: boolean
  readonly cacheControl?: string
  readonly internal?: boolean
}

/** A static route's words where a test has none of its own. */
export const USUAL: Omit<ShelfOptions, 'root'> = {
  index: ['index.html'],
  routePath: '/',
  manifest: true,
  keepMs: 3_600_000,
  compress: false,
  cacheControl: undefined,
}

/** A static route over a real folder. Files are not compressed unless a test asks for it. */
export class TestSite implements StaticObserver {
  readonly clock = new HandClock()
  readonly env = threadEnv(this.clock)
  readonly store: FileStore
  readonly handler: StaticHandler
  readonly shelf: FileShelf
  /** What the observer was told of broken manifests, and of good ones. */
  readonly told: string[] = []
  readonly releases: ReleaseFacts[] = []
  readonly compressions: string[] = []
  /** Answers that were files which are no longer on the disk. */
  heldServings = 0

  constructor(root: string, options: SiteOptions = {}) {
    const { bounds, heldBytes, internal = false, ...words } = options
    this.store = new FileStore(this.env, {
      observer: this,
      ...(bounds === undefined ? {} : { bounds }),
      ...(heldBytes === undefined ? {} : { heldBytes }),
    })
    const shelf = { ...USUAL, ...words, root }
    this.handler = new StaticHandler({ ...shelf, internal, store: this.store, env: this.env })
    this.shelf = this.store.shelf(shelf)
  }

  /** Lets time pass, with its timers. */
  pass(ms: number): void {
    this.clock.pass(ms)
    this.env.timers.advance()
  }

  manifestBroken(file: string, reason: string): void {
    this.told.push(`${basename(file)}: ${reason}`)
  }

  releaseTaken(_root: string, facts: ReleaseFacts): void {
    this.releases.push(facts)
  }

  compressed(coding: Coding, result: CompressionResult): void {
    this.compressions.push(`${coding} ${result}`)
  }

  heldServed(): void {
    this.heldServings += 1
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

/** What a data thread's parts are handed, with nobody at the other end. */
export function threadEnv(clock: Clock): ThreadEnv {
  const shared = new SharedState(createSharedState(1))
  return {
    clock,
    timers: new Timers(clock),
    cells: new CellColumn(createCellMemory(1, 8), 0),
    shared,
    descriptors: new Descriptors(shared, 0),
    thread: 0,
    random: () => 0.5,
  }
}
