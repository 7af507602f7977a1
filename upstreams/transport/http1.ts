import type { ByteStream } from '../../lib/base/byte-stream.ts'
import { chunkHead, LAST_CHUNK } from '../../lib/wire/chunked.ts'
import type { Job } from '../job.ts'
import type { RequestForm, Unanswered } from './request-form.ts'

/** Requests as HTTP/1.1. Without state: one for all connections. */
export const HTTP1: RequestForm = {
  reusable: true,

  writeHead(stream: ByteStream, job: Job): void {
    stream.writeText(job.headText)
  },

  writeBody(stream: ByteStream, job: Job, bytes: Uint8Array, start: number, end: number): void {
    if (job.bodyFraming === 'chunked') {
      stream.writeText(chunkHead(end - start))
      stream.writeBytes(bytes, start, end)
      stream.writeText('\r\n')
    } else stream.writeBytes(bytes, start, end)
  },

  writeEnd(stream: ByteStream, job: Job): void {
    if (job.bodyFraming === 'chunked') stream.writeText(LAST_CHUNK)
  },

  answered(): void {},

  unanswered(reason: string): Unanswered {
    return { code: 'UPSTREAM_CLOSED', detail: `${reason} before its response` }
  },
}
