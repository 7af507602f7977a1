import { type ErrorCode, traitsOf } from '../base/errors.ts'
import { FieldList } from '../http/field-list.ts'
import type { RequestHead } from '../http/message.ts'
import { phraseOf, statusLine } from '../http/phrases.ts'

/** Stands in logs for a request whose head was refused: nothing in it can be trusted to be what it seems. */
export const REFUSED_REQUEST: RequestHead = {
  method: '',
  target: '',
  path: '',
  query: undefined,
  host: '',
  hostname: '',
  protocol: 'HTTP/1.1',
  fields: new FieldList('', []),
  framing: 'none',
  contentLength: 0,
  connectionNamed: undefined,
  keepAlive: false,
  expectsContinue: false,
  size: 0,
}

/** The whole answer to a refused head. Says nothing of why: whoever probes parsers learns no more than the status. */
export function refusalText(code: ErrorCode, requestId: string, date: string): string {
  const { status } = traitsOf(code)
  const body = `${status} ${phraseOf(status)}\nRequest id: ${requestId}\n`
  return (
    `${statusLine(status, '')}Content-Type: text/plain; charset=utf-8\r\nDate: ${date}\r\n` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
  )
}
