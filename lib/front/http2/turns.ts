/** Something that writes once a turn. */
export interface TurnTaker {
  /** The turn of the event loop is over: whatever was read in it has been worked on. */
  turnEnds(): void
}

let waiting: TurnTaker[] = []

/**
 * Calls `turnEnds` when all that has arrived in this turn of the event loop was worked on, so that the
 * answers of many apps to one client leave in one write. Each call counts once.
 */
export function atTurnEnd(taker: TurnTaker): void {
  waiting.push(taker)
  if (waiting.length === 1) setImmediate(runAll)
}

function runAll(): void {
  const takers = waiting
  waiting = []
  for (const taker of takers) taker.turnEnds()
}
