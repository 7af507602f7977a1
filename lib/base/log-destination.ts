import { closeSync, constants, fstatSync, openSync, statSync, write, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { Clock } from './clock.ts'
import { whyUnwritable } from './errno-words.ts'
import type { Deadline, Timers } from './timers.ts'

/** Where lines go. A descriptor stays its owner's; a file is ours and can be reopened. */
export type LogTarget =
  | { readonly kind: 'stdout' }
  | { readonly kind: 'fd'; readonly fd: number }
  | { readonly kind: 'file'; readonly path: string }

export interface LogDestinationOptions {
  readonly target: LogTarget
  readonly timers: Timers
  readonly clock: Clock
  /** Characters held back while the reader stalls; beyond that the newest lines are dropped and counted. */
  readonly maxBacklog?: number
  readonly observer?: LogObserver
}

/** What a destination tells when writing begins to fail, and when it works again. */
export interface LogObserver {
  /** `problem`: in words, such as `no space is left on the device`; undefined: all is well again. */
  flipped(problem: string | undefined): void
}

const MAX_BACKLOG = 8 * 1024 * 1024
/** Characters in one write(2), about. */
const CHUNK = 64 * 1024
/** How long a line waits for company. */
const FLUSH_MS = 250
/** How long to wait after a write that could not be done. */
const RETRY_MS = 100
/** Longest that `flushSync` waits for a reader that does not read. */
const PATIENCE_MS = 500
const NAP_MS = 10
/**
 * Of the backlog, what only Causeway's own lines may take: those of apps and of requests can be a flood, and
 * ours say so.
 */
const OWN_SHARE = 1 / 8
/** After a lost line the destination counts as slow for so long. */
const SLOW_MS = 60_000
const MAX_NAPS = PATIENCE_MS / NAP_MS

/**
 * A bounded, never blocking end of all logging. Lines gather in one string and leave in writes of 64 KiB, one
 * at a time; a reader that stalls (a full pipe, a full disk) costs lines, never traffic and never memory
 * without end.
 *
 * pino takes it as its stream, and access lines go straight into it: sonic-boom measures its whole buffer
 * again with every line (test/bench/micro-access.ts).
 */
export class LogDestination {
  readonly #target: LogTarget
  readonly #timers: Timers
  readonly #clock: Clock
  readonly #maxBacklog: number
  readonly #tick: Deadline
  #fd: number
  /** Opened by `reopen` while a write into the old one runs. */
  #nextFd: number | undefined
  #rope = ''
  readonly #chunks: (string | Buffer)[] = []
  /** Being written, and how much of it has been. */
  #bytes: Buffer | undefined
  #written = 0
  #writing = false
  #waiting = false
  #closed = false
  #backlog = 0
  #dropped = 0
  #unreported = 0
  readonly #observer: LogObserver | undefined
  /** Why writing fails now, and when a line was last lost. */
  #failure: string | undefined
  #droppedAtMs = Number.NEGATIVE_INFINITY
  #idle: (() => void) | undefined

  /** Throws when a file cannot be opened. */
  constructor({ target, timers, clock, maxBacklog = MAX_BACKLOG, observer }: LogDestinationOptions) {
    this.#target = target
    this.#observer = observer
    this.#timers = timers
    this.#clock = clock
    this.#maxBacklog = maxBacklog
    this.#tick = { dueMs: Number.POSITIVE_INFINITY, tick: undefined, expired: () => this.#ticked() }
    this.#fd = openTarget(target)
  }

  /** Lines lost so far. */
  get dropped(): number {
    return this.#dropped
  }

  /**
   * Takes whole lines, each with its line end; `lines` says how many, should they have to be dropped. Hot.
   */
  write(text: string, lines = 1): void {
    if (this.#closed || this.#backlog + text.length > this.#maxBacklog) {
      this.drop(lines)
      return
    }
    this.#take(text)
  }

  /** The same for lines of others, of which there may be a flood: they leave room for Causeway's own. */
  writeOther(text: string): void {
    if (this.#closed || this.#backlog + text.length > this.#otherBacklog) this.drop(1)
    else this.#take(text)
  }

  #take(text: string): void {
    this.#backlog += text.length
    this.#rope += text
    if (this.#rope.length >= CHUNK) this.flush()
    else if (this.#tick.tick === undefined) this.#timers.arm(this.#tick, FLUSH_MS)
  }

  get #otherBacklog(): number {
    return this.#maxBacklog * (1 - OWN_SHARE)
  }

  /** As `writeOther`, for lines that are bytes already; the buffer is the destination's from now on. */
  writeBytes(bytes: Buffer): void {
    if (this.#closed || this.#backlog + bytes.length > this.#otherBacklog) {
      this.drop(countLines(bytes))
      return
    }
    this.#backlog += bytes.length
    if (this.#rope !== '') this.#chunks.push(this.#rope)
    this.#rope = ''
    this.#chunks.push(bytes)
    this.#writeNext()
  }

  /** Counts lines that were lost before they came here. */
  drop(lines: number): void {
    this.#dropped += lines
    this.#unreported += lines
    this.#droppedAtMs = this.#clock.now()
  }

  /** What is wrong with it now, in words; undefined: nothing. */
  get problem(): string | undefined {
    if (this.#failure !== undefined) return `${this.#failure}; ${this.#dropped} lines lost so far`
    if (this.#clock.now() - this.#droppedAtMs > SLOW_MS) return undefined
    return `its reader is too slow; ${this.#dropped} lines lost so far`
  }

  /** Begins to write what there is. */
  flush(): void {
    if (this.#rope !== '') {
      this.#chunks.push(this.#rope)
      this.#rope = ''
    }
    this.#writeNext()
  }

  /**
   * Writes what there is before it returns: for the end of a process. Waits for a stalled reader half a
   * second in all. What an unfinished write holds is left to that write.
   */
  flushSync(): void {
    if (this.#rope !== '') this.#chunks.push(this.#rope)
    this.#rope = ''
    const bytes = this.#writing ? undefined : this.#bytes?.subarray(this.#written)
    const chunks = this.#chunks.map(chunk => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk))
    const rest = Buffer.concat([bytes ?? Buffer.alloc(0), ...chunks])
    if (!this.#writing) this.#bytes = undefined
    this.#chunks.length = 0
    this.#backlog = 0
    writePatiently(this.#fd, rest)
  }

  /**
   * After the file was moved away (SIGUSR2). Throws when it cannot be opened again, and then goes on with the
   * old one.
   */
  reopen(): void {
    if (this.#target.kind !== 'file' || this.#closed) return
    const fd = openTarget(this.#target)
    if (this.#nextFd !== undefined) closeSync(this.#nextFd)
    this.#nextFd = fd
    if (!this.#writing) this.#swap()
  }

  /** Writes what there is and lets go. Later lines count as dropped. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#timers.disarm(this.#tick)
    if (this.#writing) await this.#finishedWrite()
    // Still not back: the descriptor blocks, and would block us.
    if (this.#writing) return
    this.flushSync()
    if (this.#fd > 2 && this.#target.kind !== 'fd') closeSync(this.#fd)
  }

  /** The write under way, or not forever: a blocking descriptor may never return. */
  #finishedWrite(): Promise<void> {
    return new Promise(resolve => {
      this.#idle = resolve
      this.#timers.arm(this.#tick, PATIENCE_MS)
    })
  }

  #ticked(): void {
    this.#waiting = false
    if (this.#closed) this.#idle?.()
    else this.flush()
  }

  #writeNext(): void {
    if (this.#writing || this.#waiting || this.#closed) return
    if (this.#bytes === undefined) {
      const chunk = this.#chunks.shift()
      if (chunk === undefined) return
      this.#bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      this.#written = 0
      this.#backlog -= chunk.length
    }
    this.#writing = true
    write(this.#fd, this.#bytes, this.#written, this.#bytes.length - this.#written, null, (error, count) => {
      this.#writing = false
      if (this.#nextFd !== undefined) this.#swap()
      this.#judge(error)
      this.#wrote(error === null ? count : undefined)
    })
  }

  /** A full pipe is no failure: its reader takes its time, and lines that are lost by it are counted. */
  #judge(error: NodeJS.ErrnoException | null): void {
    if (error?.code === 'EAGAIN') return
    const failure = error === null ? undefined : whyUnwritable(error)
    if (failure === this.#failure) return
    this.#failure = failure
    this.#observer?.flipped(failure)
  }

  /**
   * `count` is undefined when the write failed: EAGAIN from a full pipe, ENOSPC, or a reader that has gone.
   */
  #wrote(count: number | undefined): void {
    this.#written += count ?? 0
    const whole = this.#written === this.#bytes?.length
    if (whole) this.#bytes = undefined
    if (this.#closed) {
      this.#idle?.()
      return
    }
    if (count === undefined) {
      this.#waiting = true
      this.#timers.disarm(this.#tick)
      this.#timers.arm(this.#tick, RETRY_MS)
      return
    }
    if (whole && this.#unreported > 0) this.#reportDrops()
    this.#writeNext()
  }

  #reportDrops(): void {
    const lines = this.#unreported
    const time = new Date(this.#clock.wall()).toISOString()
    const line = `{"level":"warn","time":"${time}","msg":"dropped ${lines} lines","lines":${lines}}\n`
    if (this.#backlog + line.length > this.#maxBacklog) return
    this.#unreported = 0
    this.write(line)
  }

  #swap(): void {
    closeSync(this.#fd)
    this.#fd = this.#nextFd as number
    this.#nextFd = undefined
  }
}

const LINE_FEED = 10

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) lines += 1
  return lines
}

function openTarget(target: LogTarget): number {
  switch (target.kind) {
    case 'fd':
      return target.fd
    case 'stdout':
      return unblocked(1)
    case 'file':
      return openFile(target.path)
  }
}

/**
 * Neither opening nor writing ever waits, also where the file is a FIFO. One that nobody reads cannot be
 * opened for writing alone (ENXIO, fifo(7)): it is opened for both, and whoever comes to read it finds what
 * its buffer has kept.
 */
function openFile(path: string): number {
  const { O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants
  try {
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o640)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO' || !statSync(path).isFIFO()) throw error
    return openSync(path, O_RDWR | O_NONBLOCK | O_NOCTTY)
  }
}

/**
 * A descriptor of the same pipe or terminal whose writes return instead of waiting. Without it a reader that
 * stalls would hold a thread of libuv's pool, and the process could not even exit. Opened anew, because
 * O_NONBLOCK on the inherited one would hit every process that shares it. Where that is not allowed the
 * inherited one has to do.
 */
function unblocked(fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO() && !isatty(fd)) return fd
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return fd
  }
}

function writePatiently(fd: number, bytes: Buffer): void {
  const nap = new Int32Array(new SharedArrayBuffer(4))
  let written = 0
  for (let naps = 0; written < bytes.length && naps < MAX_NAPS; ) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      naps += 1
      Atomics.wait(nap, 0, 0, NAP_MS)
    }
  }
}
