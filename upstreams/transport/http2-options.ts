/** Of a head as it is written; listeners take less. */
const MOST_BLOCK_BYTES = 2 * 1024 * 1024

/**
 * What a connection to an endpoint says of itself (RFC 9113 6.5.2), and what our library is to hold it to.
 */
export const SESSION_OPTIONS = {
  settings: { enablePush: false, initialWindowSize: 256 * 1024, maxHeaderListSize: 64 * 1024 },
  maxReservedRemoteStreams: 0,
  maxHeaderListPairs: 256,
  maxSessionMemory: 256,
  maxSendHeaderBlockLength: MOST_BLOCK_BYTES,
  // Two lines of a field are the app's to judge, as over HTTP/1.1.
  strictSingleValueFields: false,
}
