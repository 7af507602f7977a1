import { readFileSync } from 'node:fs'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'
import type { LoadOptions, Told } from './load.ts'

// The process behind `HandshakeLoad`: options as JSON in its argument, a word on stderr when it has begun,
// what it saw as JSON on stdout once stdin has ended.

const { port, perSecond, authority } = JSON.parse(process.argv[2] ?? '') as LoadOptions
/** A handshake that takes longer has failed. */
const PATIENCE_MS = 10_000
const TICK_MS = 5
/** A client that is late catches up slowly: a crowd at once would be another load. */
const MOST_A_TICK = 10
/** Reading a certificate costs about as much as a handshake. */
const READ_EVERY = 8
/** Made once: it holds the trusted certificate, no session, so every handshake is a full one. */
const secureContext = createSecureContext({ ca: readFileSync(authority) })
const failures: Record<string, number> = {}
const certificates = new Set<string>()
const startMs = performance.now()
let [begun, open, whole, endMs] = [0, 0, 0, Number.POSITIVE_INFINITY]

function begin(): void {
  begun += 1
  open += 1
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', secureContext })
  let failure: string | undefined
  let shaken = false
  socket.resume()
  const timer = setTimeout(
    () => socket.destroy(Object.assign(new Error('late'), { code: 'late' })),
    PATIENCE_MS,
  )
  socket.once('secureConnect', () => {
    shaken = true
    if (whole % READ_EVERY === 0) note(socket)
    socket.end()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failure ??= error.code ?? error.message
  })
  socket.once('close', () => {
    clearTimeout(timer)
    open -= 1
    // What breaks behind a whole handshake is another matter: the client has ended the connection.
    if (shaken) whole += 1
    else tell(failure ?? 'closed')
    finish()
  })
}

function note(socket: TLSSocket): void {
  certificates.add(socket.getPeerX509Certificate()?.serialNumber ?? 'none')
}

function tell(word: string): void {
  failures[word] = (failures[word] ?? 0) + 1
}

function finish(): void {
  if (open > 0 || endMs === Number.POSITIVE_INFINITY) return
  const told: Told = { micros: (endMs - startMs) * 1000, whole, certificates: certificates.size, failures }
  process.stdout.write(JSON.stringify(told))
}

const timer = setInterval(() => {
  const due = ((performance.now() - startMs) * perSecond) / 1000
  for (let n = 0; n < MOST_A_TICK && begun < due; n += 1) begin()
}, TICK_MS)

process.stderr.write('the load begins\n')

process.stdin.resume().once('end', () => {
  clearInterval(timer)
  endMs = performance.now()
  finish()
})
