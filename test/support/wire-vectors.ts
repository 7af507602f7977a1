import type { Test } from 'tap'
import type { ChunkDetail } from '../../lib/wire/chunked.ts'
import { ChunkedDecoder } from '../../lib/wire/chunked.ts'
import type { Refusal, RefusalDetail } from '../../lib/wire/refusal.ts'
import { type ParsedRequest, parseRequestHead } from '../../lib/wire/request-head.ts'
import { type ParsedResponse, parseResponseHead } from '../../lib/wire/response-head.ts'

export const LIMITS = { headersBytes: 32 * 1024, headerCount: 100, targetBytes: 8 * 1024 }

/** A promise in words, what is sent, and why it is refused: `ok` if it is not. */
export type Vector<D> = readonly [promise: string, text: string, detail: D | 'ok' | 'more']

/** A head with this request line. */
export function lined(line: string): string {
  return `${line}\r\nHost: a\r\n\r\n`
}

/** A GET with these lines behind its Host. */
export function fielded(...lines: readonly string[]): string {
  return `${['GET / HTTP/1.1', 'Host: a', ...lines].join('\r\n')}\r\n\r\n`
}

/** Each vector ends as it says, whole and byte by byte. */
export function holds(t: Test, vectors: readonly Vector<RefusalDetail>[], outcome = detailOf): void {
  for (const [promise, text, detail] of vectors) {
    t.equal(outcome(text), detail, promise)
    t.equal(pieceByPiece(text, outcome), detail, `${promise}, byte by byte`)
  }
}

/** Why the head is refused. */
export function detailOf(text: string, limits = LIMITS): RefusalDetail | 'ok' | 'more' {
  return outcomeOf(parseRequestHead(text, limits))
}

export function responseDetailOf(
  text: string,
  method = 'GET',
  limits = LIMITS,
): RefusalDetail | 'ok' | 'more' {
  return outcomeOf(parseResponseHead(text, method, limits))
}

/** The head, which must be a good one. */
export function requestOf(text: string): ParsedRequest {
  const head = parseRequestHead(text, LIMITS)
  if (head === undefined || 'refused' in head) throw new Error(`not taken: ${JSON.stringify(head)}`)
  return head
}

export function responseOf(text: string, method = 'GET'): ParsedResponse {
  const head = parseResponseHead(text, method, LIMITS)
  if (head === undefined || 'refused' in head) throw new Error(`not taken: ${JSON.stringify(head)}`)
  return head
}

/** The first outcome when the text comes byte by byte. */
export function pieceByPiece(
  text: string,
  outcome: (part: string) => RefusalDetail | 'ok' | 'more',
): RefusalDetail | 'ok' | 'more' {
  for (let length = 1; length < text.length; length += 1) {
    const detail = outcome(text.slice(0, length))
    if (detail !== 'more') return detail
  }
  return outcome(text)
}

export interface Decoded {
  readonly data: string
  readonly detail: ChunkDetail | 'ok' | 'more'
  /** Bytes behind the end of the body. */
  readonly surplus: number
}

/** A chunked body as it is decoded when it comes in pieces of at most `size` bytes. */
export function decoded(body: string, size = body.length): Decoded {
  const bytes = Buffer.from(body, 'latin1')
  let data = ''
  const decoder = new ChunkedDecoder({
    chunkData(from, start, end) {
      data += Buffer.from(from.subarray(start, end)).toString('latin1')
    },
  })
  let at = 0
  while (at < bytes.length && decoder.state === 'reading') {
    at = decoder.decode(bytes, at, Math.min(bytes.length, at + Math.max(size, 1)))
  }
  const ending = decoder.state === 'done' ? 'ok' : 'more'
  return { data, detail: decoder.detail ?? ending, surplus: bytes.length - at }
}

function outcomeOf(
  head: ParsedRequest | ParsedResponse | Refusal | undefined,
): RefusalDetail | 'ok' | 'more' {
  if (head === undefined) return 'more'
  return 'refused' in head ? head.detail : 'ok'
}
