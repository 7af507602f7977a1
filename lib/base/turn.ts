/**
 * Where a request stands in the queue of its upstream, over all threads, in one Int32 that can be compared:
 * its lane, and since when it has waited. 0: nobody waits.
 */

/** Set in every turn, so that none is 0. */
const WAITS = 1 << 30
const TIME_BITS = 28
const TIME_MASK = (1 << TIME_BITS) - 1
/** Moves the sign of a difference of times to where Int32 has it. */
const TIME_SHIFT = 32 - TIME_BITS

/**
 * `lane`: 0 goes first, at most 3. `sinceMs`: on the process clock; turns are told apart by the millisecond,
 * within 37 hours.
 */
export function turnOf(lane: number, sinceMs: number): number {
  return WAITS | (lane << TIME_BITS) | (Math.floor(sinceMs) % (TIME_MASK + 1))
}

/** Strictly: those of one lane and one millisecond are equals. */
export function isTurnBefore(one: number, other: number, newestFirst: boolean): boolean {
  const lanes = (one >> TIME_BITS) - (other >> TIME_BITS)
  if (lanes !== 0) return lanes < 0
  const older = ((one - other) << TIME_SHIFT) >> TIME_SHIFT
  return newestFirst ? older > 0 : older < 0
}
