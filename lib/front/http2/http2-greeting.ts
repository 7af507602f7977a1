import type { ListenerConfig } from '../../config/model.ts'
import type { HpackLimits } from '../../wire/hpack-decoder.ts'
import { SETTING, settingsFrame, windowFrame } from '../../wire/http2-frames.ts'
import { FIRST_GRANT } from './http2-receiver.ts'
import { STREAM_WINDOW } from './http2-stream.ts'

/**
 * A head beyond its limits is answered with 431, as long as it does not go beyond that many times: then its
 * stream is reset unread.
 */
const SLACK = 2
/** Pseudo-fields, which `header_count` does not count. */
const PSEUDO_FIELDS = 5

/** Heads that are read, if only to be refused. */
export function readableHeads(limits: ListenerConfig['limits']): HpackLimits {
  return { maxBytes: SLACK * limits.headersBytes, maxPairs: SLACK * limits.headerCount + PSEUDO_FIELDS }
}

/** What we say first (RFC 9113 3.4): our settings, and the connection's window. */
export function greeting(mostStreams: number, headBytes: number): string {
  const settings = settingsFrame([
    [SETTING.streams, mostStreams],
    [SETTING.window, STREAM_WINDOW],
    [SETTING.headBytes, headBytes],
    [SETTING.extendedConnect, 1],
  ])
  return settings + windowFrame(0, FIRST_GRANT)
}
