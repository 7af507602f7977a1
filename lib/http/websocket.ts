import { createHash, randomBytes } from 'node:crypto'
import { FIELD } from './field-ids.ts'
import type { FieldList } from './field-list.ts'
import type { RequestHead, ResponseHead } from './message.ts'

/** RFC 6455 1.3: what a server adds to the key, so that only one that speaks the protocol can answer it. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
/** RFC 6455 4.1: sixteen bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/
const VERSION = 'sec-websocket-version'

/**
 * The key of a request that opens a WebSocket as RFC 6455 4.2.1 has it; undefined for every other. The
 * version's value is for the app to judge: it answers 426 with those it speaks. A request that is not quite
 * one (a body, HTTP/1.0, no or two keys) is an ordinary request whose Upgrade is ignored, as RFC 9110 7.8
 * lets a server do. A length of 0 is no body.
 */
export function websocketKey(request: RequestHead): string | undefined {
  if (request.connectionNamed?.has('upgrade') !== true) return undefined
  const { fields, method, protocol } = request
  if (method !== 'GET' || protocol === 'HTTP/1.0' || hasBody(request)) return undefined
  if (!asksForWebSocket(fields) || countOf(fields, VERSION) !== 1) return undefined
  const at = fields.indexOf(FIELD['sec-websocket-key'])
  if (at < 0 || fields.indexOf(FIELD['sec-websocket-key'], at + 1) >= 0) return undefined
  const key = fields.value(at)
  return KEY.test(key) ? key : undefined
}

/**
 * What is wrong with a 101 to a request with this key (RFC 6455 4.1, client's side); undefined if nothing is.
 */
export function switchFault(head: ResponseHead, key: string): string | undefined {
  const { fields } = head
  if (head.status !== 101) return 'not a 101'
  if (head.connectionNamed?.has('upgrade') !== true) return '101 without Connection: Upgrade'
  if (fields.rawJoined(FIELD.upgrade)?.toLowerCase() !== 'websocket') return '101 to another protocol'
  if (fields.joined(FIELD['sec-websocket-accept']) !== acceptOf(key))
    return '101 with a wrong Sec-WebSocket-Accept'
  return undefined
}

/** A key for a handshake of our own, for a client whose protocol has none (RFC 8441 5.1). */
export function newWebSocketKey(): string {
  return randomBytes(16).toString('base64')
}

/** Sec-WebSocket-Accept of a key (RFC 6455 4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + ACCEPT_GUID)
    .digest('base64')
}

/** RFC 9110 7.8: a list, in the client's order of preference; the names are compared in any case. */
function asksForWebSocket(fields: FieldList): boolean {
  const protocols = fields.rawJoined(FIELD.upgrade)?.toLowerCase().split(',')
  return protocols?.some(protocol => protocol.trim() === 'websocket') === true
}

function hasBody({ framing, contentLength }: RequestHead): boolean {
  return framing === 'chunked' || contentLength > 0
}

function countOf(fields: FieldList, lowerName: string): number {
  let count = 0
  for (let i = 0; i < fields.count; i += 1) if (fields.name(i).toLowerCase() === lowerName) count += 1
  return count
}
