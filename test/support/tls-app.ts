import { once } from 'node:events'
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import type { Test } from 'tap'
import { until, within } from './until.ts'

/** An app that speaks TLS itself. */
export class TlsApp {
  readonly port: number
  /** Connections so far whose handshake has ended. */
  readonly sockets: TLSSocket[] = []

  private constructor(server: Server) {
    this.port = (server.address() as AddressInfo).port
  }

  /** `serve`: what it does with a connection; by default it says `name` and sends back what it gets. */
  static async start(
    t: Pick<Test, 'teardown'>,
    options: TlsOptions & { readonly name?: string },
    serve = greeting(options.name ?? 'app'),
  ): Promise<TlsApp> {
    const server = createServer(options)
    await listen(t, server)
    const app = new TlsApp(server)
    server.on('tlsClientError', () => {})
    server.on('secureConnection', socket => {
      app.sockets.push(socket)
      socket.on('error', () => {})
      serve(socket)
    })
    return app
  }

  /** The one connection it has. */
  async socket(at = 0): Promise<TLSSocket> {
    return until('a connection to the app', () => this.sockets[at])
  }
}

function greeting(name: string): (socket: TLSSocket) => void {
  return socket => {
    socket.write(`${name}\n`)
    socket.pipe(socket)
  }
}

/** A server of plain bytes; gives its port. */
export async function startPlain(
  t: Pick<Test, 'teardown'>,
  serve: (socket: Socket) => void,
): Promise<number> {
  const server = createTcpServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    serve(socket)
  })
  return listen(t, server)
}

/** Listens on 127.0.0.1; gives the port. At the end of the test all is cut. */
export async function listen(t: Pick<Test, 'teardown'>, server: Server): Promise<number> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A client of such an app, behind its handshake. */
export class TlsClient {
  readonly socket: TLSSocket
  received = ''
  receivedBytes = 0
  ended = false
  closed = false

  private constructor(socket: TLSSocket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.receivedBytes += bytes.length
      // Of a flood the first bytes are enough.
      if (this.received.length < 100_000) this.received += bytes.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('end', () => {
      this.ended = true
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  /** Rejects with the handshake's error. */
  static async connect(port: number, options: ConnectionOptions): Promise<TlsClient> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, ...options } as ConnectionOptions)
    await within(
      'a TLS handshake',
      new Promise<void>((done, failed) => {
        socket.once('secureConnect', done).once('error', failed)
        socket.once('close', () => failed(new Error('closed inside the handshake')))
      }),
    )
    return new TlsClient(socket)
  }

  async untilReceived(text: string): Promise<void> {
    await until(`the bytes ${JSON.stringify(text)}`, () => this.received.includes(text) || this.closed)
  }

  /** Sends, and waits for the same to come back. */
  async echoes(text: string): Promise<void> {
    this.socket.write(text)
    await this.untilReceived(text)
    if (!this.received.includes(text)) throw new Error(`closed before ${JSON.stringify(text)} came back`)
  }

  async untilClosed(): Promise<void> {
    await until('the connection to close', () => this.closed)
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/**
 * A connection whose bytes leave in pieces of `size`, each in its own turn of the event loop; `first` tells
 * of the first write.
 */
export async function dribbling(port: number, size: number, first: (bytes: number) => void): Promise<Duplex> {
  const socket = connectTcp({ host: '127.0.0.1', port, noDelay: true })
  await once(socket, 'connect')
  let told = false
  const duplex = new Duplex({
    read: () => socket.resume(),
    write: async (bytes: Buffer, _encoding, done) => {
      if (!told) first(bytes.length)
      told = true
      for (let at = 0; at < bytes.length; at += size) {
        socket.write(bytes.subarray(at, at + size))
        await new Promise(setImmediate)
      }
      done()
    },
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (bytes: Buffer) => duplex.push(bytes))
  socket.on('end', () => duplex.push(null))
  socket.on('error', () => {})
  return duplex
}

/** Why a handshake does not come about, in the words of Node or OpenSSL; '' if it does. */
export async function handshakeError(port: number, options: ConnectionOptions): Promise<string> {
  try {
    const client = await TlsClient.connect(port, options)
    client.destroy()
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
