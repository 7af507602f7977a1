import { indexed, remembered, requestBlock } from './http2-fields.ts'
import { FLAG, headers, ping, SETTING, TYPE } from './http2-frames.ts'
import { RawHttp2Client } from './raw-http2-client.ts'
import { until } from './until.ts'

/** One field that nearly fills the table of HPACK, and how often each request names it: a byte each. */
const FIELD_BYTES = 3_900
const REFERENCES = 7
/** The newest entry of the dynamic table. */
const NEWEST = 62

/** What the field is called: an ordinary one, or a cookie in crumbs, which become one line again. */
export const HELD_KINDS = ['x-held', 'cookie'] as const

export interface HeldHeads {
  readonly port: number
  readonly path: string
  readonly kind: (typeof HELD_KINDS)[number]
  readonly connections: number
  readonly streams: number
}

/**
 * Requests of some 50 bytes that stand for heads of 27 KB each, from clients whose windows are shut. Resolves
 * when the server has read all of them, with the clients, and the bytes that were sent.
 */
export async function holdHeads({ port, path, kind, connections, streams }: HeldHeads) {
  const references = Array.from({ length: REFERENCES }, () => indexed(NEWEST))
  const first = requestBlock('GET', path, remembered(kind, `a=${'x'.repeat(FIELD_BYTES - 2)}`))
  const further = requestBlock('GET', path, ...references)
  const clients: RawHttp2Client[] = []
  for (let n = 0; n < connections; n += 1) {
    const client = await RawHttp2Client.connect(port, [[SETTING.initialWindowSize, 0]])
    clients.push(client)
    const blocks = Array.from({ length: streams }, (_, i) => (i === 0 ? first : further))
    const flags = FLAG.endHeaders | FLAG.endStream
    client.send(...blocks.map(block => headers(client.stream(), block, flags)), ping())
  }
  for (const client of clients)
    await until('the requests to be read', () => client.seen.has(TYPE.ping) || client.ended, 60_000)
  return { clients, sentBytes: clients.reduce((sum, { socket }) => sum + socket.bytesWritten, 0) }
}
