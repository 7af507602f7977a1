import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ProxyHeader, readProxyHeader } from '../../lib/wire/proxy-protocol.ts'
import { freePorts } from '../bench/ports.ts'
import { until, within } from '../support/until.ts'
import { startServer } from './support.ts'

// HAProxy, whose protocol it is, as the sender.

const SENDERS = [
  ['send-proxy', 'PROXY '],
  ['send-proxy-v2', '\r\n\r\n'],
  ['send-proxy-v2 proxy-v2-options crc32c,unique-id', '\r\n\r\n'],
] as const

t.test('headers of HAProxy', { skip: missingHaproxy() }, async t => {
  for (const [option, opening] of SENDERS) {
    await t.test(option, async t => {
      const receiver = await startReceiver(t)
      const { port, socket } = await startHaproxy(t, receiver.port, option)
      const client = await opened(t, { port, host: '127.0.0.1' })
      const { localAddress: address, localPort } = client
      client.write('hello')
      const { header, text } = await receiver.next()
      t.ok(text.startsWith(opening), 'in the version that was asked for')
      t.same(header, {
        kind: 'proxied',
        source: { address, port: localPort },
        destination: { address: '127.0.0.1', port },
        size: text.length - 'hello'.length,
      })

      const onMachine = await opened(t, { path: socket })
      onMachine.write('hello')
      const local = await receiver.next()
      // Version 1 has no word for its own connections, and HAProxy says LOCAL for every client without
      // address in version 2.
      const kind = option === 'send-proxy' ? 'unknown' : 'local'
      t.same(local.header, { kind, size: local.text.length - 'hello'.length }, 'a unix socket')
    })
  }
})

interface Received {
  readonly header: ProxyHeader
  /** All that arrived, to the end of the client's own word. */
  readonly text: string
}

/** Reads what stands before `hello`, connection by connection. */
async function startReceiver(t: Test): Promise<{ port: number; next(): Promise<Received> }> {
  const received: Received[] = []
  const server = createServer(socket => {
    let bytes: Buffer = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', more => {
      bytes = Buffer.concat([bytes, more])
      const text = bytes.toString('latin1')
      if (!text.endsWith('hello')) return
      received.push({ header: readProxyHeader(bytes, 0, bytes.length) as ProxyHeader, text })
      socket.destroy()
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  return {
    port: (server.address() as AddressInfo).port,
    next: () => until('a header of HAProxy', () => received.shift()),
  }
}

async function startHaproxy(t: Test, to: number, option: string): Promise<{ port: number; socket: string }> {
  // Short, because the path of a unix socket has at most 97 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'causeway-haproxy-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [port = 0] = await freePorts(1)
  const socket = join(folder, 'in.sock')
  const config = join(folder, 'haproxy.cfg')
  writeFileSync(
    config,
    `
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen in
  bind 127.0.0.1:${port}
  bind unix@${socket}
  unique-id-format %{+X}o%ci
  server out 127.0.0.1:${to} ${option}
`,
  )
  // The number in what it says is its worker's: the ports are those of its configuration.
  const loaded = /New worker \((\d+)\) forked[\s\S]*Loading success/
  await startServer(t, ['haproxy', '-W', '-db', '-f', config], {}, loaded)
  return { port, socket }
}

async function opened(t: Test, to: { port: number; host: string } | { path: string }): Promise<Socket> {
  const socket = connect(to)
  t.teardown(() => socket.destroy())
  await within(
    'a connection to HAProxy',
    new Promise<void>((done, failed) => socket.once('connect', done).once('error', failed)),
  )
  socket.on('error', () => {})
  return socket
}

/** False when HAProxy is here, else the reason to skip; in CI there is none. */
function missingHaproxy(): string | false {
  if (spawnSync('haproxy', ['-v']).status === 0) return false
  if (process.env['CI']) throw new Error('haproxy is missing (Debian: haproxy)')
  return 'haproxy is missing (Debian: haproxy)'
}
