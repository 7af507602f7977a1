import type { Socket } from 'node:net'
import { hello, serverName } from './client-hello.ts'
import { RawClient } from './raw-client.ts'

/**
 * What a tunnel passes on needs no TLS behind its hello, so the edges are tried with bytes that can be read.
 */
export const HELLO = hello(serverName('db.test'))

export interface TunnelParts {
  readonly endpoints: readonly number[]
  /** Keys of [listeners.web] and of [upstreams.db]. */
  readonly listener?: string
  readonly upstream?: string
  readonly workers?: number
}

/** A listener `web` that decrypts nothing, and a tunnel `db` for every name to the upstream `db`. */
export function tunnelConfig({ endpoints, listener = '', upstream = '', workers = 1 }: TunnelParts): string {
  return `
[server]
workers = ${workers}
drain = "1s"
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
tls = "passthrough"
${listener}
[upstreams.db]
endpoints = [${endpoints.map(port => `"127.0.0.1:${port}"`).join(', ')}]
${upstream}
[tunnels.db]
upstream = "db"
`
}

/** A client that has sent its hello. */
export async function knock(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.send(HELLO)
  return client
}

/** Sends back what it gets, and ends when the client ends. */
export function echo(socket: Socket): void {
  socket.pipe(socket)
}
