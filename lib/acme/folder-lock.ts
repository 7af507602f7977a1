import { rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { createPrivate, readPrivate, writePrivate } from './private-files.ts'

/** Without a sign of life for so long the holder is gone, wherever it ran. */
const STALE_MS = 5 * 60_000

interface Holder {
  readonly id: string
  readonly pid: number
  readonly host: string
  /** Its last sign of life. */
  readonly atMs: number
}

/**
 * One process orders at a time in a folder that several share. The file says who and since when. Of two that
 * find a dead holder at the same moment both may go on: then there is an order too many, but files are
 * replaced whole, so nothing is torn.
 */
export class FolderLock {
  readonly #path: string
  readonly #id: string
  readonly #nowMs: () => number

  /** `id`: nobody else's. `nowMs`: milliseconds since 1970, as others have them too. */
  constructor(path: string, id: string, nowMs: () => number) {
    this.#path = path
    this.#id = id
    this.#nowMs = nowMs
  }

  /** False if another process has it. */
  take(): boolean {
    const holder = this.#holder()
    if (holder !== undefined && !this.#isGone(holder)) return holder.id === this.#id
    try {
      rmSync(this.#path, { force: true })
      return createPrivate(this.#path, this.#text())
    } catch {
      // Where nothing can be written nobody else can have it, and certificates are had all the same.
      return true
    }
  }

  /** A sign of life, to be given more often than every five minutes. */
  refresh(): void {
    try {
      if (this.#holder()?.id === this.#id) writePrivate(this.#path, this.#text())
    } catch {
      // The disk is full: whoever waits will find the lock old.
    }
  }

  release(): void {
    if (this.#holder()?.id === this.#id) rmSync(this.#path, { force: true })
  }

  #isGone({ pid, host, atMs }: Holder): boolean {
    if (Math.abs(this.#nowMs() - atMs) > STALE_MS) return true
    // Our own number is that of a former life: a container that starts again gets the same.
    return host === hostname() && (pid === process.pid || !isAlive(pid))
  }

  #holder(): Holder | undefined {
    const read = readPrivate(this.#path)
    if (read === undefined || 'code' in read) return undefined
    try {
      const { id, pid, host, at } = JSON.parse(read.bytes.toString()) as Record<string, unknown>
      const atMs = Date.parse(String(at))
      if (typeof id !== 'string' || typeof pid !== 'number' || typeof host !== 'string' || Number.isNaN(atMs))
        return undefined
      return { id, pid, host, atMs }
    } catch {
      return undefined
    }
  }

  #text(): string {
    const at = new Date(this.#nowMs()).toISOString()
    return `${JSON.stringify({ id: this.#id, pid: process.pid, host: hostname(), at })}\n`
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
