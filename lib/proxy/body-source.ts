import type { Attempt } from '../../upstreams/job.ts'

/** Where the body of a request comes from, for each attempt that is made with it. */
export interface BodySource {
  /** Bytes; undefined if they are not known before the end. */
  readonly length: number | undefined
  /** Can it flow to one more attempt, from its first byte? */
  readonly repeatable: boolean
  /** All of it, in memory of its own; undefined if that would mean to wait for it or to read a file. */
  copy(): Buffer | undefined
  /** Lets it flow to an attempt, which takes the place of the one before. */
  flowTo(attempt: Attempt): void
  /** The attempt takes bytes again after `sendBody` returned false. */
  drained(): void
  /** No attempt will want it any more. */
  release(): void
}
