import type { Test } from 'tap'
import { fieldOf, RawClient } from './raw-client.ts'
import type { RecordingUpstream } from './recording-upstream.ts'

/** A request that must be refused: what it is, its bytes, the status it gets. */
export type Refusal = readonly [name: string, bytes: string, status: number]

/** Stands behind every refused request: whatever is taken for a second request is taken for this one. */
export const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n'

/**
 * Sends the bytes, whole and then one by one: each time there is exactly one answer, with this status and
 * Connection: close, the connection really closes, and no complete request reaches the app.
 */
export async function assertRefused(
  t: Test,
  port: number,
  upstream: RecordingUpstream,
  [name, bytes, status]: Refusal,
): Promise<void> {
  await refusedOnce(t, port, upstream, [name, bytes + SMUGGLED, status], bytes.length + SMUGGLED.length)
  await refusedOnce(
    t,
    port,
    upstream,
    [`${name}, in pieces`, bytes + SMUGGLED, status],
    1 + (bytes.length >> 6),
  )
}

async function refusedOnce(
  t: Test,
  port: number,
  upstream: RecordingUpstream,
  [name, bytes, status]: Refusal,
  pieceSize: number,
): Promise<void> {
  const before = upstream.requests.length
  const client = await RawClient.connect(port)
  await client.sendInPieces(bytes, pieceSize)
  const answer = await client.response(bytes.slice(0, Math.max(0, bytes.indexOf(' '))))
  t.equal(answer.status, status, `${name}: status`)
  t.equal(fieldOf(answer, 'connection'), 'close', `${name}: Connection`)
  const all = await client.untilEnded()
  t.equal(all.split('HTTP/1.').length - 1, 1, `${name}: one answer only`)
  const complete = upstream.requests.slice(before).filter(request => request.complete)
  t.same(
    complete.map(request => request.head.raw),
    [],
    `${name}: nothing reached the app`,
  )
}
