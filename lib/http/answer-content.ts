import type { AnswerHead } from './message.ts'

/**
 * True for an answer that is sent without content, whatever its handler writes: to HEAD, and 204, 205 and 304
 * (RFC 9110 6.4.1, 15.3.6). Interim answers have none either, but never come here.
 */
export function isWithoutContent(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 205 || status === 304
}

/**
 * The Content-Length to send; undefined for none. A 204 has none (RFC 9110 8.6), a 304's would have to be
 * that of the 200, which we may not know. A 205 ends with its head only if it says 0: HTTP/1.1 frames it like
 * any other answer (RFC 9112 6.3), and over HTTP/2 a length without its bytes is malformed (RFC 9113 8.1.1).
 * To HEAD it says what GET would have brought.
 */
export function saidLength({ status, length }: AnswerHead): number | undefined {
  if (status === 205) return 0
  return status === 204 || status === 304 ? undefined : length
}
