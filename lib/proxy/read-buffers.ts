const READ_BYTES = 64 * 1024
/** As many reads of spool files run at a time in a thread; more would wait for the disk anyhow. */
const MOST = 8

type Take = (buffer: Buffer) => void

/** Made when they are first needed, and used again: reading a file takes no memory that is not there, whatever is short. */
const free: Buffer[] = []
const waiting: Take[] = []
let made = 0

/** Gives a buffer to read into, at once or as soon as one comes free. It is to be given back by `returnReadBuffer`. */
export function takeReadBuffer(take: Take): void {
  const buffer = free.pop()
  if (buffer !== undefined) return take(buffer)
  if (made === MOST) {
    waiting.push(take)
    return
  }
  made += 1
  take(Buffer.allocUnsafeSlow(READ_BYTES))
}

export function returnReadBuffer(buffer: Buffer): void {
  const next = waiting.shift()
  if (next === undefined) free.push(buffer)
  else next(buffer)
}
