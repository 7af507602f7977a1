import type { Clock } from '../../lib/base/clock.ts'

/** A clock that moves when it is told to. */
export class FakeClock implements Clock {
  nowMs: number

  constructor(nowMs = 1_000_000) {
    this.nowMs = nowMs
  }

  now(): number {
    return this.nowMs
  }

  wall(): number {
    return this.nowMs
  }

  pass(ms: number): void {
    this.nowMs += ms
  }
}
