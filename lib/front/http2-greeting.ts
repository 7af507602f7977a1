import { SETTING, settingsFrame, windowFrame } from '../wire/http2-frames.ts'
import { FIRST_GRANT } from './http2-receiver.ts'
import { STREAM_WINDOW } from './http2-stream.ts'

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
