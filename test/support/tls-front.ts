import { type AddressInfo, connect } from 'node:net'
import { createServer, type TlsOptions } from 'node:tls'

/** TLS before a plain port of 127.0.0.1, whatever is spoken there; resolves with the port. */
export async function startTlsFront(
  t: { teardown(end: () => void): void },
  to: number,
  options: TlsOptions,
): Promise<number> {
  const server = createServer(options, socket => {
    const inner = connect(to, '127.0.0.1')
    for (const side of [socket, inner]) side.on('error', () => {})
    socket.on('close', () => inner.destroy())
    inner.on('close', () => socket.destroySoon())
    socket.pipe(inner)
    inner.pipe(socket)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}
