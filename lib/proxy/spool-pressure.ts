/** A log as short memory sees it. */
export interface PressedLog {
  /** Sends to a file what it has in memory, if it can. */
  evict(): void
  /** It is to take no more. */
  hold(): void
  /** It may take more. */
  release(): void
  /** It may look again for room in files. */
  diskRoom(): void
  /** It has waited for too long. */
  giveUp(): void
  /** Whoever reads it is all that it waits for: it is of those that go first when there is no more memory. */
  readonly yields: boolean
  /** Whoever reads it has taken some of it. */
  readonly isTaken: boolean
  /** Lets go of what it has, and of whom that was for. */
  giveWay(): void
}

/** What there is, for all logs of a thread. */
export interface PressedRoom {
  readonly memoryTotalBytes: number
  /** Memory that can still be taken. */
  readonly freeBytes: number
  /** What is left is not for those that yield. */
  readonly isNearlyOut: boolean
}

/**
 * Below this share of free memory nobody takes more, and the oldest go to files; above the other one all is
 * well.
 */
const TIGHT_SHARE = 1 / 8
const CALM_SHARE = 1 / 4
/** What a log may take in one read: so much is free for each that goes on. */
const READ_BYTES = 64 * 1024
/** More writes at a time than there are threads that write would be no faster. */
const MAX_WRITING = 16
/** A request is refused once nothing has come free for so long: those who hold the room do not get on. */
const PATIENCE_MS = 10_000
/**
 * Two ticks that lie further apart than this say that the thread, or the machine, stood still: nobody waited
 * in that time.
 */
const MOST_BETWEEN_TICKS_MS = 1000

/**
 * Who waits when memory is short, or room in files. Nobody is served at the cost of the bound: all that take
 * bytes are stopped at once, the oldest go to files, and as memory comes free they go on in the order in
 * which they were stopped.
 */
export class SpoolPressure {
  readonly #room: PressedRoom
  /** All that still take bytes. */
  readonly #taking = new Set<PressedLog>()
  /** With bytes in memory that may go to a file, the oldest first. */
  readonly #inMemory = new Set<PressedLog>()
  /** Those with bytes in memory that yield, and of which nothing has been taken yet; the oldest first. */
  readonly #untaken = new Set<PressedLog>()
  /** The others that yield; first of which nothing has been taken for longest. */
  readonly #taken = new Set<PressedLog>()
  /** In the order in which they were stopped, and since when. */
  readonly #waiting = new Map<PressedLog, number>()
  readonly #diskLine = new Map<PressedLog, number>()
  /** With room in files, and of unknown length; the oldest first. */
  readonly #growing = new Set<PressedLog>()
  #tight = false
  #writing = 0
  #relaxing = false
  /** Time in which the thread has run, as told by its ticks. */
  #nowMs = 0
  #tickedMs: number | undefined = undefined
  /** When somebody last got on who had waited. */
  #movedMs = Number.NEGATIVE_INFINITY

  constructor(room: PressedRoom) {
    this.#room = room
  }

  /** True while nobody may take more memory. */
  get tight(): boolean {
    return this.#tight
  }

  begins(log: PressedLog): void {
    this.#taking.add(log)
  }

  /** It has taken memory. */
  took(log: PressedLog): void {
    this.#inMemory.add(log)
    this.stays(log)
    if (!this.#tight && this.#room.freeBytes >= this.#room.memoryTotalBytes * TIGHT_SHARE) return
    if (this.#tight) this.#hold(log)
    else this.#tighten()
    this.#evict()
  }

  /** Its reader gets on. */
  moved(log: PressedLog): void {
    if (this.#forgetYielding(log)) this.#taken.add(log)
  }

  /**
   * May a log that yields take more? If there is next to nothing left, others have to give way first: those
   * whose clients have taken nothing at all, then those that have taken nothing for longest. So a client that
   * takes its answer steadily keeps it, however many come that do not.
   */
  mayYieldingTake(log: PressedLog): boolean {
    return this.#giveWayTo(log, this.#untaken) || this.#giveWayTo(log, this.#taken)
  }

  /** Nothing of it is in memory that could go to a file. */
  left(log: PressedLog): void {
    this.#inMemory.delete(log)
    this.#forgetYielding(log)
    if (this.#waiting.size > 0) this.#relaxSoon()
  }

  /** What it has in memory is on its way to a file. */
  writes(log: PressedLog): void {
    this.#inMemory.delete(log)
    this.#forgetYielding(log)
    this.#writing += 1
  }

  /** What it has is in memory, even if it was on its way to a file. */
  stays(log: PressedLog): void {
    if (log.yields) (log.isTaken ? this.#taken : this.#untaken).add(log)
  }

  written(): void {
    this.#writing -= 1
    if (this.#tight || this.#waiting.size > 0) this.#relaxSoon()
  }

  /** It takes no more bytes. */
  settles(log: PressedLog): void {
    this.#taking.delete(log)
    this.#waiting.delete(log)
    this.#diskLine.delete(log)
    if (this.#growing.delete(log)) this.diskCameFree()
  }

  /** It has no room in files: it is released when there may be. */
  waitForDisk(log: PressedLog): void {
    if (!this.#diskLine.has(log)) this.#diskLine.set(log, this.#nowMs)
  }

  hasDisk(log: PressedLog): void {
    if (this.#diskLine.delete(log)) this.#movedMs = this.#nowMs
  }

  /** Is it its turn to be given room in files? */
  isNextForDisk(log: PressedLog): boolean {
    return isFirst(log, this.#diskLine.keys())
  }

  /**
   * May a log whose length nobody knows have more room in files, of which there is little? Only the oldest of
   * them: if all went on, all would end half-way.
   */
  mayGrow(log: PressedLog): boolean {
    this.#growing.add(log)
    return isFirst(log, this.#growing)
  }

  diskCameFree(): void {
    if (this.#diskLine.size > 0) this.#relaxSoon()
  }

  /** Told at every tick of the thread: other threads give back as well. */
  ticked(nowMs: number): void {
    this.#nowMs += Math.min(nowMs - (this.#tickedMs ?? nowMs), MOST_BETWEEN_TICKS_MS)
    this.#tickedMs = nowMs
    if (this.#waiting.size === 0 && this.#diskLine.size === 0) {
      if (this.#tight) this.#relax()
      return
    }
    this.#giveUp(this.#diskLine)
    this.#giveUp(this.#waiting)
    this.#relax()
  }

  #giveWayTo(log: PressedLog, others: ReadonlySet<PressedLog>): boolean {
    if (!this.#room.isNearlyOut) return true
    for (const other of others) {
      if (other !== log) other.giveWay()
      if (!this.#room.isNearlyOut) return true
    }
    return false
  }

  #forgetYielding(log: PressedLog): boolean {
    return this.#untaken.delete(log) || this.#taken.delete(log)
  }

  #tighten(): void {
    this.#tight = true
    for (const log of [...this.#taking]) this.#hold(log)
  }

  #hold(log: PressedLog): void {
    if (!this.#taking.delete(log)) return
    this.#waiting.set(log, this.#nowMs)
    log.hold()
  }

  #evict(): void {
    for (const log of this.#inMemory) {
      if (this.#writing >= MAX_WRITING) return
      this.#inMemory.delete(log)
      log.evict()
    }
  }

  #relaxSoon(): void {
    if (this.#relaxing) return
    this.#relaxing = true
    queueMicrotask(this.#relaxNow)
  }

  readonly #relaxNow = (): void => {
    this.#relaxing = false
    this.#relax()
  }

  #relax(): void {
    const { freeBytes, memoryTotalBytes } = this.#room
    if (this.#tight && freeBytes >= memoryTotalBytes * CALM_SHARE) this.#tight = false
    if (this.#tight) this.#evict()
    else this.#goOn(Math.max(1, Math.floor((freeBytes - memoryTotalBytes * TIGHT_SHARE) / READ_BYTES)))
    this.#shareDisk()
  }

  /**
   * In the order of asking; and whoever of unknown length is the oldest, wherever it stands: those before it
   * may be waiting for what it holds.
   */
  #shareDisk(): void {
    for (const log of [...this.#diskLine.keys()]) {
      log.diskRoom()
      if (!this.#diskLine.has(log)) continue
      const [oldest] = this.#growing
      if (oldest !== undefined && oldest !== log && this.#diskLine.has(oldest)) oldest.diskRoom()
      return
    }
  }

  #goOn(most: number): void {
    let left = most
    for (const log of [...this.#waiting.keys()]) {
      if (left === 0 || this.#tight) return
      left -= 1
      this.#waiting.delete(log)
      this.#movedMs = this.#nowMs
      this.#taking.add(log)
      log.release()
    }
  }

  /** What one leaves behind may let the others get on. */
  #giveUp(line: ReadonlyMap<PressedLog, number>): void {
    for (const [log, sinceMs] of [...line]) {
      if (!line.has(log)) continue
      if (this.#nowMs - Math.max(sinceMs, this.#movedMs) < PATIENCE_MS) return
      log.giveUp()
      if (!line.has(log)) this.#relax()
    }
  }
}

function isFirst(log: PressedLog, line: Iterable<PressedLog>): boolean {
  for (const first of line) return first === log
  return true
}
