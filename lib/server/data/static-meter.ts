import { Periodic } from '../../base/periodic.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { Coding } from '../../http/coding.ts'
import type { FileStore } from '../../static/file-store.ts'
import {
  COMPRESSION_RESULTS,
  type CompressionResult,
  MADE_CODINGS,
  STATIC_BLOCK,
} from '../../static/static-measures.ts'
import type { ReleaseFacts, StaticNews, StaticObserver } from '../../static/static-observer.ts'

const AT = STATIC_BLOCK.at
/**
 * How often it is measured what is held. By the whole and not by steps: what a reload leaves behind goes with
 * the garbage, which tells nobody.
 */
const MEASURE_MS = 1000

/**
 * Counts what the static part of a data thread does, measures what it holds, and passes on what somebody
 * should read.
 */
export class StaticMeter implements StaticObserver {
  readonly #env: ThreadEnv
  readonly #row: number
  readonly #news: StaticNews

  /** `row`: first row of the STATIC_BLOCK. */
  constructor(env: ThreadEnv, row: number, news: StaticNews) {
    this.#env = env
    this.#row = row
    this.#news = news
  }

  /** Measures this store from now on, for the life of the thread. */
  follow(store: FileStore): void {
    new Periodic(this.#env.timers, MEASURE_MS, () => this.#measure(store)).start()
  }

  manifestBroken(file: string, reason: string): void {
    if (!this.#isSpeaker) return
    this.#count(AT.manifestErrors)
    this.#news.manifestBroken(file, reason)
  }

  releaseTaken(root: string, facts: ReleaseFacts): void {
    if (this.#isSpeaker) this.#news.releaseTaken(root, facts)
  }

  compressed(coding: Coding, result: CompressionResult): void {
    const index = MADE_CODINGS.indexOf(coding) * COMPRESSION_RESULTS.length
    this.#count(AT.compressions + index + COMPRESSION_RESULTS.indexOf(result))
  }

  heldServed(): void {
    this.#count(AT.heldServed)
  }

  /** Every thread reads the manifests; one is enough to say what is in them. */
  get #isSpeaker(): boolean {
    return this.#env.thread === 0
  }

  #measure({ load }: FileStore): void {
    this.#set(AT.cacheBytes, load.cacheBytes)
    this.#set(AT.heldBytes, load.heldBytes)
    this.#set(AT.heldFiles, load.heldFiles)
    if (!this.#isSpeaker) return
    this.#set(AT.names, load.names)
    this.#set(AT.names + 1, load.leaving)
  }

  #count(at: number): void {
    this.#env.cells.add(this.#row + at, 1)
  }

  #set(at: number, value: number): void {
    this.#env.cells.set(this.#row + at, value)
  }
}
