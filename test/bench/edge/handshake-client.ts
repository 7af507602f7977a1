import { once } from 'node:events'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'
import type { HandshakeOptions, Shaken } from './handshakes.ts'

// The process behind `runHandshakes`: options as JSON in its argument, what happened as JSON on stdout.

const { port, kind, seconds } = JSON.parse(process.argv[2] ?? '') as HandshakeOptions
const AT_ONCE = 32
/** One for all: building a context costs more than a handshake. */
const secureContext = createSecureContext({ minVersion: 'TLSv1.3' })
const wrong: Record<string, number> = {}
let whole = 0

function open(session: Buffer | undefined): TLSSocket {
  const socket = connect({
    ...{ host: '127.0.0.1', port, servername: 'localhost', secureContext },
    ...{ ALPNProtocols: ['http/1.1'], rejectUnauthorized: false },
    ...(session === undefined ? {} : { session }),
  })
  socket.resume() // else the peer's end is not seen
  return socket
}

function tell(word: string): void {
  wrong[word] = (wrong[word] ?? 0) + 1
}

/** What is wrong with a finished handshake, if anything. */
function faultOf(socket: TLSSocket): string | undefined {
  const protocol = socket.getProtocol()
  if (protocol !== 'TLSv1.3') return `protocol ${protocol}`
  if (socket.isSessionReused() === (kind === 'resumed')) return undefined
  return kind === 'resumed' ? 'not-resumed' : 'resumed'
}

/** One handshake, until both sides have closed: only then has the server done all its work for it. */
function shake(session: Buffer | undefined): Promise<void> {
  return new Promise(done => {
    const socket = open(session)
    let shaken = false
    socket.once('secureConnect', () => {
      shaken = true
      const fault = faultOf(socket)
      if (fault === undefined) whole += 1
      else tell(fault)
      socket.end()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (!shaken) tell(error.code ?? error.message)
    })
    socket.once('close', () => done())
  })
}

/**
 * The ticket of a connection that was made for it. It serves for all handshakes: nobody here forbids a second
 * use.
 */
async function ticket(): Promise<Buffer> {
  const socket = open(undefined)
  const [session] = (await once(socket, 'session', { signal: AbortSignal.timeout(5000) })) as [Buffer]
  socket.destroy()
  return session
}

const session = kind === 'resumed' ? await ticket() : undefined
const startMs = performance.now()
const endMs = startMs + seconds * 1000

async function lane(): Promise<void> {
  while (performance.now() < endMs) await shake(session)
}

await Promise.all(Array.from({ length: AT_ONCE }, lane))
const shaken: Shaken = { whole, micros: (performance.now() - startMs) * 1000, wrong }
process.stdout.write(JSON.stringify(shaken))
