import { ClientMemory, ConnectionMemory } from '../../lib/front/connection/client-memory.ts'
import type { StreamHost } from '../../lib/front/http2/http2-stream.ts'

const nothing = () => undefined

/** A connection for streams under test: takes all that they say, and does nothing. */
export const scriptedStreamHost: StreamHost = {
  memory: new ConnectionMemory(new ClientMemory()),
  streamReady: nothing,
  streamInLine: nothing,
  streamReset: nothing,
  streamDone: nothing,
  streamGranted: nothing,
}
