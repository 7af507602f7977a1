import { STATUS_CODES } from 'node:http'

/** Status lines by status, made once: `HTTP/1.1 200 OK` with its CRLF. */
const LINES: readonly (string | undefined)[] = Array.from({ length: 600 }, (_, status) => {
  const phrase = STATUS_CODES[status]
  return phrase === undefined ? undefined : `HTTP/1.1 ${status} ${phrase}\r\n`
})

/** The standard phrase of a status; '' for one that has none. */
export function phraseOf(status: number): string {
  return status === 499 ? 'Client Closed Request' : (STATUS_CODES[status] ?? '')
}

/** The status line of an answer; `reason` is the app's own words, '' for the standard phrase. */
export function statusLine(status: number, reason: string): string {
  const standard = LINES[status]
  if (standard !== undefined && (reason === '' || reason === STATUS_CODES[status])) return standard
  return `HTTP/1.1 ${status} ${reason}\r\n`
}
