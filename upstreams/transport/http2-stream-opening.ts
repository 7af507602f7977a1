import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { ErrorCode } from '../../lib/base/errors.ts'

/** Why no connection to the endpoint would take a request. */
export interface StreamRefusal {
  readonly code: ErrorCode
  readonly detail: string
}

/** What the library says of a connection that is about to close. */
const CLOSING: ReadonlySet<string> = new Set([
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_INVALID_SESSION',
  'ERR_HTTP2_OUT_OF_STREAMS',
])

/** A stream with these fields, names and values in turn; undefined if the session closes. */
export function openStream(
  session: ClientHttp2Session,
  fields: readonly string[],
  options: { readonly endStream: boolean; readonly signal: AbortSignal },
  mostListBytes: number,
): ClientHttp2Stream | StreamRefusal | undefined {
  const bytes = listBytes(fields)
  if (bytes > mostListBytes) return tooLarge(bytes, mostListBytes)
  try {
    // Of its types only the newest know that lists of names and values are taken.
    return session.request(fields as never, options)
  } catch (error) {
    return CLOSING.has(codeOf(error)) ? undefined : refusedByLibrary(error)
  }
}

/** RFC 9113 6.5.2: each field costs 32 bytes more than its name and value. */
function listBytes(fields: readonly string[]): number {
  let bytes = fields.length * 16
  for (let i = 0; i < fields.length; i += 1) bytes += (fields[i] as string).length
  return bytes
}

function tooLarge(bytes: number, mostBytes: number): StreamRefusal {
  const detail = `the head takes ${bytes} bytes, but the endpoint allows at most ${mostBytes} (SETTINGS_MAX_HEADER_LIST_SIZE)`
  return { code: 'UPSTREAM_HEAD_TOO_LARGE', detail }
}

/** A mistake of ours: no other connection would take the request either. */
function refusedByLibrary(error: unknown): StreamRefusal {
  return { code: 'INTERNAL', detail: `the request cannot be written: ${codeOf(error)}` }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error)
}
