import type { ByteStream } from '../../lib/base/byte-stream.ts'
import type { ErrorCode } from '../../lib/base/errors.ts'
import type { Job } from '../job.ts'

/** How requests are said on a connection to an app. The answer is HTTP/1.1 in every form. */
export interface RequestForm {
  /** May the connection carry another request after this one? */
  readonly reusable: boolean
  writeHead(stream: ByteStream, job: Job): void
  writeBody(stream: ByteStream, job: Job, bytes: Uint8Array, start: number, end: number): void
  /** Behind the last byte of a body. */
  writeEnd(stream: ByteStream, job: Job): void
  /** The final head of the answer has come. */
  answered(): void
  /** What it means that the app closed the connection without a byte of an answer. `reason`: how it did. */
  unanswered(reason: string): Unanswered
}

export interface Unanswered {
  readonly code: ErrorCode
  readonly detail: string
}
