import { performServerHandshake, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { ListenerConfig } from '../config/model.ts'

/** Bytes of one request body that a client may send before somebody has asked for them. */
export const STREAM_WINDOW = 128 * 1024
/** The same for a whole connection. */
const CONNECTION_WINDOW = 1024 * 1024
/** A head beyond its limits is answered with 431, as long as it does not go beyond that many times: then its stream is reset unread. */
const SLACK = 2
/** Pseudo-fields, which `header_count` does not count. */
const PSEUDO_FIELDS = 5

// Node's own bounds against floods, behind those of flood-budget.ts, which come first and are told.
const MAX_INVALID_FRAMES = 100
const MAX_REJECTED_STREAMS = 100
const MAX_SETTINGS = 16
const RESET_BURST = 1000
const RESETS_PER_SECOND = 100

/** Speaks HTTP/2 on a client's socket, which nobody reads; what was put back into it is read first. Throws if the socket is gone. */
export function openSession(socket: Socket, { limits }: ListenerConfig): ServerHttp2Session {
  const session = performServerHandshake(socket, {
    settings: {
      maxConcurrentStreams: limits.streams,
      maxHeaderListSize: SLACK * limits.headersBytes,
      initialWindowSize: STREAM_WINDOW,
      // RFC 8441 3.
      enableConnectProtocol: true,
    },
    maxHeaderListPairs: SLACK * limits.headerCount + PSEUDO_FIELDS,
    maxSessionInvalidFrames: MAX_INVALID_FRAMES,
    maxSessionRejectedStreams: MAX_REJECTED_STREAMS,
    maxSettings: MAX_SETTINGS,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESETS_PER_SECOND,
    // Ours to judge: an app may repeat a field that Node thinks is single.
    strictSingleValueFields: false,
  })
  session.setLocalWindowSize(CONNECTION_WINDOW)
  return session
}
