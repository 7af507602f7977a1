import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ByteStream } from '../lib/base/byte-stream.ts'
import { Timers } from '../lib/base/timers.ts'
import { RequestBody } from '../lib/front/connection/request-body.ts'
import { Http1Exchange, type Http1Wire } from '../lib/front/http1/http1-exchange.ts'
import { FieldList } from '../lib/http/field-list.ts'
import { FakeClock } from './support/fake-clock.ts'
import { RecordingExchange } from './support/recording-exchange.ts'
import { until } from './support/until.ts'

// What a slow client's socket is given: what the kernel takes, and a little.

const MIB = 1024 * 1024
/** More than it may be: a probe, and the text before it. */
const LITTLE = 32 * 1024

/** A stream whose client reads nothing until it is told to. */
async function slowClient(t: Test) {
  let drained = 0
  const owner = {
    streamBytes: () => {},
    streamEnded: () => {},
    streamDrained: () => {
      drained += 1
    },
    streamStalled: () => {},
    streamClosed: () => {},
  }
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const client = connect(address.port, '127.0.0.1')
  client.pause()
  const [socket] = (await once(server, 'connection')) as [Socket]
  const stream = ByteStream.accept(socket, owner, new Timers(new FakeClock()), 0)
  const came: Buffer[] = []
  client.on('data', bytes => came.push(bytes))
  client.pause()
  t.teardown(() => {
    client.destroy()
    stream.destroy()
    server.close()
  })
  return { stream, socket, client, came: () => Buffer.concat(came), drained: () => drained }
}

t.test('a socket that is offered much takes what the kernel takes, and a little', async t => {
  const { stream, socket, client, came, drained } = await slowClient(t)
  const bytes = randomBytes(16 * MIB)
  stream.writeText('head')
  let at = stream.offerBytes(bytes, 0, bytes.length)
  t.ok(at < bytes.length, 'not all of it')
  t.ok(socket.writableLength <= LITTLE, `${socket.writableLength} bytes lie with the socket`)
  t.equal(stream.offerBytes(bytes, at, bytes.length), at, 'and nothing before it has been told to go on')
  client.resume()
  let before = 0
  while (at < bytes.length) {
    await until('the client to take some', () => drained() > before)
    before = drained()
    at = stream.offerBytes(bytes, at, bytes.length)
    stream.flush()
    t.ok(socket.writableLength <= LITTLE || at === bytes.length)
  }
  await until('all of it', () => came().length === bytes.length + 4)
  t.ok(came().equals(Buffer.concat([Buffer.from('head'), bytes])), 'whole and in order')
})

t.test('little goes with what was gathered before, and leaves with the flush', async t => {
  const { stream, client, came } = await slowClient(t)
  stream.writeText('head ')
  t.equal(stream.offerBytes(Buffer.from('a body'), 2, 6), 6)
  stream.flush()
  client.resume()
  await until('both', () => came().length === 9)
  t.equal(came().toString(), 'head body')
})

t.test('a stream that is gone takes all: nobody waits for it', async t => {
  const { stream } = await slowClient(t)
  stream.destroy()
  t.equal(stream.offerBytes(Buffer.alloc(MIB), 0, MIB), MIB)
})

t.test('a chunk that was begun is finished before the next begins, however little is taken', async t => {
  let out = ''
  let taken = 0
  const wire: Http1Wire = {
    dateText: 'now',
    mayKeepAlive: true,
    backedUp: false,
    writeText: text => {
      out += text
    },
    offerBytes: (bytes, start, end) => {
      const stop = Math.min(end, start + taken)
      out += Buffer.from(bytes.subarray(start, stop)).toString('latin1')
      return stop
    },
    writeBytes: () => {},
    writeKept: () => {},
    flush: () => {},
    pumpBody: () => {},
    stopReading: () => {},
    handOver: () => {},
    finished: () => {},
  }
  const { request, client, origin, record } = new RecordingExchange({ method: 'GET', target: '/' })
  const exchange = new Http1Exchange(wire, request, new RequestBody(request, 1000), client, origin, record)
  exchange.begin({ status: 200, reason: '', fields: FieldList.of([]), length: undefined })
  const bytes = Buffer.from('0123456789abcdef')
  taken = 3
  t.equal(exchange.offer(bytes, 0, 10), 3)
  t.equal(exchange.offer(bytes, 3, 10), 6)
  taken = 100
  t.equal(exchange.offer(bytes, 6, 16), 16, 'the rest of the chunk, and one more with what is behind it')
  exchange.end()
  t.equal(out.slice(out.indexOf('\r\n\r\n') + 4), 'a\r\n0123456789\r\n6\r\nabcdef\r\n0\r\n\r\n')
})
