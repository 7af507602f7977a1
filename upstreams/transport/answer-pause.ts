import type { AckStall } from '../ack-stall.ts'

/**
 * The pause between the first and the second part of an answer, from which stalls are told (ack-stall.ts).
 * before: no part has come. running: the first has. over: the second has, there is none, or we have made the
 * pause ourselves.
 */
export class AnswerPause {
  #state: 'before' | 'running' | 'over' = 'before'

  /** The next answer is due. */
  begin(): void {
    this.#state = 'before'
  }

  /** All of the first part is read, and more will come. */
  firstCame(): void {
    if (this.#state === 'before') this.#state = 'running'
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** No other part has come before the end. */
  get isMissing(): boolean {
    return this.#state === 'before'
  }

  /** It says nothing. */
  skip(): void {
    this.#state = 'over'
  }

  /**
   * It is over, and took `pauseMs`; for how long the endpoint's answers are believed to stall, if they do.
   * `reused`: the connection was used before.
   */
  ended(stall: AckStall | undefined, reused: boolean, pauseMs: number, nowMs: number): number | undefined {
    this.#state = 'over'
    return stall?.answered(reused, pauseMs, nowMs)
  }
}
