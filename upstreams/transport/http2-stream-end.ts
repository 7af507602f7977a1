import type { ClientHttp2Stream } from 'node:http2'

/**
 * Tells of the peer's own END_STREAM behind a body. Node says 'end' as well when a stream is reset or its
 * connection is lost, and after a reset without an error code nothing tells the two apart: a client would
 * take half an answer for a whole one. But Node marks a stream as closed before it ends it for a loss, and
 * ends it first where the peer did.
 */
export function watchEnd(stream: ClientHttp2Stream, ended: () => void): void {
  const push = stream.push.bind(stream)
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !stream.closed && !stream.destroyed) ended()
    return push(chunk, encoding)
  }
}
