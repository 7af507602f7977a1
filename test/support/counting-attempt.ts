import type { Attempt } from '../../upstreams/job.ts'

/** An app's side that counts how often it was told to go on. */
export class CountingAttempt implements Attempt {
  resumed = 0
  cancelled = 0

  sendBody(): boolean {
    return true
  }
  endBody(): void {}
  flushBody(): void {}
  resumeAnswer(): void {
    this.resumed += 1
  }
  cancel(): void {
    this.cancelled += 1
  }
}
