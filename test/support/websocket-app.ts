import { acceptOf } from '../../lib/http/websocket.ts'
import { RawClient } from './raw-client.ts'
import type { RecordedRequest, Script, UpstreamLine } from './recording-upstream.ts'

/** The key of RFC 6455 1.3. */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

/** A request that opens a WebSocket; `fields` with their line ends. */
export function opening(target: string, fields = '', connection = 'Upgrade'): string {
  return (
    `GET ${target} HTTP/1.1\r\nHost: example.test\r\nConnection: ${connection}\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${fields}\r\n`
  )
}

/** The head of an app's switch. */
export function switchHead(request: RecordedRequest, fields = ''): string {
  const accept = acceptOf(request.field('sec-websocket-key') ?? '')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${fields}\r\n`
}

/** Switches, `first` in the same packet; from then on `then` has the line's socket, paused, to itself. */
export function switching(then: (line: UpstreamLine) => void, fields = '', first = ''): Script {
  return (line, request) => {
    line.socket.removeAllListeners('data').removeAllListeners('end').pause()
    then(line)
    line.send(switchHead(request, fields) + first)
  }
}

/** Sends back what it gets, and ends when the client ends. */
export const echo = switching(({ socket }) => socket.pipe(socket))

/** A client behind a switch. */
export async function openWebSocket(port: number, target: string, fields = ''): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.send(opening(target, fields))
  const answer = await client.response()
  if (answer.status !== 101) throw new Error(`${answer.status} in place of 101`)
  return client
}
