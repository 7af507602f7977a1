import { once } from 'node:events'
import { createServer } from 'node:net'

/** Loopback ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as { readonly port: number }).port)
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}
