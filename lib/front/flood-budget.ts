/** What a connection may do besides requests: so much at once, and so much a second. */
const BURST = 64 * 1024
const PER_SECOND = 16 * 1024
/** A reset in unexplained bytes: some 250 at once, 64 a second. A browser that leaves a page resets what is under way, a hundred at most. */
const RESET_COST = 256
/** Frame and padding of a header list, beyond what it stands for. */
const HEAD_COST = 64
/** Clients grant windows as they take an answer: a frame of 13 bytes now and then, for stream and connection. */
const TAKEN_PER_GRANT = 128

/**
 * How far an HTTP/2 client may keep us busy with what is no request: resets (RFC 9113 10.5; CVE-2023-44487, CVE-2025-8671), and frames that
 * are neither heads nor bodies: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA. Of these nobody tells us, so they are what is left of
 * the bytes of a connection when heads and bodies are taken away. A token bucket, filled by time.
 *
 * Heads are known by what they stand for only. Compressed they are smaller, so each hides some bytes; but none are saved up beyond a look.
 */
export class FloodBudget {
  #tokens = BURST
  #atMs: number
  #bytesRead = 0
  #bytesWritten = 0
  #bodies = 0
  #explained = 0
  /** Bodies that were not wanted: so much of them may still be under way. */
  #dropped = 0

  constructor(nowMs: number) {
    this.#atMs = nowMs
  }

  /** A head has come, of this many bytes before compression. */
  head(bytes: number): void {
    this.#explained += bytes + HEAD_COST
  }

  /** The rest of a body, so many bytes at most, will come and be dropped. */
  drop(bytes: number): void {
    this.#dropped += bytes
  }

  /** A stream was reset, by the client or because of what it did. False: that is too often. */
  reset(nowMs: number): boolean {
    this.#refill(nowMs)
    this.#tokens -= RESET_COST
    return this.#tokens >= 0
  }

  /**
   * To be asked now and then, with all bytes so far: that the connection has brought and taken, and that were found to be of bodies. False: too
   * many of them were neither head nor body.
   */
  look(bytesRead: number, bytesWritten: number, bodies: number, nowMs: number): boolean {
    this.#refill(nowMs)
    const read = bytesRead - this.#bytesRead - (bodies - this.#bodies)
    const granted = (bytesWritten - this.#bytesWritten) / TAKEN_PER_GRANT
    const unexplained = Math.max(0, read - this.#explained - granted)
    const dropped = Math.min(unexplained, this.#dropped)
    this.#dropped -= dropped
    this.#tokens -= unexplained - dropped
    this.#explained = 0
    this.#bytesRead = bytesRead
    this.#bytesWritten = bytesWritten
    this.#bodies = bodies
    return this.#tokens >= 0
  }

  #refill(nowMs: number): void {
    this.#tokens = Math.min(BURST, this.#tokens + ((nowMs - this.#atMs) * PER_SECOND) / 1000)
    this.#atMs = nowMs
  }
}
