import type { Readable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import { TokenBucket } from '../../base/token-bucket.ts'
import { Alarm } from '../shared/alarm.ts'
import { LineSplitter } from './line-splitter.ts'

/**
 * Bytes that one worker may say, at once and each second; each line counts as so many more, which is what its
 * way into the log costs.
 */
const BURST = 8 * 1024 * 1024
const PER_SECOND = 2 * 1024 * 1024
const LINE_COST = 512
/** Behind the first line too many nothing is taken for so long. */
const FLOOD_MS = 1000
/**
 * Bytes that are read and dropped in that time. Who writes more has to wait: reading alone would keep the
 * thread busy.
 */
const MOST_DROPPED = 16 * 1024 * 1024

export type OutputStream = 'stdout' | 'stderr'

export interface WorkerOutputParts {
  readonly clock: Clock
  readonly timers: Timers
  line(stream: OutputStream, text: string): void
  /** So many lines were not taken; told once a second while there is a flood. */
  dropped(lines: number): void
}

/**
 * What one worker says, in lines, however often its process is started. A flood costs lines and not the
 * control thread's time: those beyond the budget are counted and dropped unread.
 */
export class WorkerOutput {
  readonly #parts: WorkerOutputParts
  readonly #bucket: TokenBucket
  readonly #flood: Alarm
  readonly #open = new Set<Readable>()
  #dropped = 0
  #droppedBytes = 0

  constructor(parts: WorkerOutputParts) {
    this.#parts = parts
    this.#bucket = new TokenBucket(BURST, PER_SECOND, parts.clock.now())
    this.#flood = new Alarm(parts.timers, () => this.#floodOver())
  }

  /** Takes what comes of a stream of bytes, until its end. */
  follow(stream: Readable, name: OutputStream): void {
    const splitter = new LineSplitter(line => this.#take(name, line))
    this.#open.add(stream)
    stream.on('data', (bytes: Buffer) => this.#arrived(splitter, bytes))
    stream.on('end', () => this.#drop(splitter.end()))
    stream.on('error', () => {})
    stream.on('close', () => {
      this.#open.delete(stream)
      this.#report()
    })
  }

  #arrived(splitter: LineSplitter, bytes: Buffer): void {
    if (!this.#flood.pending) return this.#drop(splitter.push(bytes))
    this.#drop(splitter.skip(bytes))
    this.#droppedBytes += bytes.length
    if (this.#droppedBytes > MOST_DROPPED) for (const stream of this.#open) stream.pause()
  }

  #take(name: OutputStream, line: string): boolean {
    if (!this.#bucket.charge(LINE_COST + line.length, this.#parts.clock.now())) return false
    this.#parts.line(name, line)
    return true
  }

  #drop(lines: number): void {
    if (lines === 0) return
    this.#dropped += lines
    if (!this.#flood.pending) this.#flood.set(FLOOD_MS)
  }

  #floodOver(): void {
    this.#droppedBytes = 0
    this.#report()
    for (const stream of this.#open) stream.resume()
  }

  #report(): void {
    if (this.#dropped > 0) this.#parts.dropped(this.#dropped)
    this.#dropped = 0
  }
}
