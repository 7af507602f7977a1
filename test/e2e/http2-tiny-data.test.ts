import { createServer, type Socket } from 'node:net'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { requestBlock } from '../support/http2-fields.ts'
import { data, FLAG, headers } from '../support/http2-frames.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { until } from '../support/until.ts'

const FRAMES = 2_000

/** An app that keeps what comes, and answers a request once its last chunk is there. */
let received = ''
const open = new Set<Socket>()
const app = createServer(socket => {
  open.add(socket)
  socket.on('error', () => undefined)
  socket.on('data', bytes => {
    received += bytes.toString('latin1')
    if (!received.endsWith('0\r\n\r\n')) return
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
})
await new Promise<void>(done => app.listen(0, '127.0.0.1', done))
t.teardown(() => {
  for (const socket of open) socket.destroy()
  app.close()
})
const address = app.address()
const appPort = typeof address === 'object' && address !== null ? address.port : 0
const causeway = await startCauseway(t, {
  config: configText({ endpoints: [appPort], listener: 'h2c = true', upstream: 'body = "stream"' }),
})

/** Bytes of chunks behind the head, without their framing. */
function chunks(): string[] {
  const body = received.slice(received.indexOf('\r\n\r\n') + 4)
  return body.split('\r\n').filter((_, n) => n % 2 === 1 && n > 0)
}

t.test('frames of one byte that come together go on together, in their order', async t => {
  const client = await RawHttp2Client.connect(causeway.port())
  const stream = client.stream()
  client.send(headers(stream, requestBlock('POST', '/tiny'), FLAG.endHeaders))
  await until('the head at the app', () => received.includes('\r\n\r\n'))
  const text = Array.from({ length: FRAMES }, (_, n) => String.fromCharCode(97 + (n % 26))).join('')
  client.send(...Array.from(text, letter => data(stream, Buffer.from(letter))))
  client.send(data(stream, Buffer.alloc(0), FLAG.endStream))
  await until('the answer', () => client.status(stream) === 200)
  const pieces = chunks().filter(piece => piece !== '')
  t.equal(pieces.join(''), text)
  t.ok(pieces.length < FRAMES / 50, `${pieces.length} chunks of ${FRAMES} frames`)
  client.destroy()
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway)
})
