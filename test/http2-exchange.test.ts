import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { ClientFacts } from '../lib/http/client-facts.ts'
import type { Exchange } from '../lib/http/exchange.ts'
import { FieldList } from '../lib/http/field-list.ts'
import { startFront } from './support/fronts.ts'
import { Http2Client } from './support/http2-client.ts'
import { requestBlock } from './support/http2-fields.ts'
import { data, FLAG, headers, SETTING, TYPE, windowUpdate } from './support/http2-frames.ts'
import { RawHttp2Client } from './support/raw-http2-client.ts'
import { until } from './support/until.ts'

// What no handler of today does, or what needs a TLS listener: the front's side alone.

/** A front whose every exchange is answered by `route`, and a client of it. */
async function front(t: Test, route: (exchange: Exchange) => void, client: Partial<ClientFacts> = {}) {
  const started = await startFront(t, 'http2', route, client)
  const browser = new Http2Client(started.port)
  t.teardown(() => browser.destroy())
  return { browser, ...started }
}

const HEAD = { status: 200, reason: '', fields: FieldList.of([['X-A', '1']]), length: undefined }
const TRAILERS = FieldList.of([
  ['X-Checksum', 'abc'],
  ['X-Checksum', 'def'],
])

/** What an exchange gives to a stream that can send nothing. */
const PROBE_BYTES = 128

t.test('trailers follow the body, where the client reads them', async t => {
  const { browser } = await front(t, exchange => {
    exchange.attach({ answerDrained: () => {}, clientGone: () => {} })
    exchange.begin({ ...HEAD, length: exchange.request.path === '/with-length' ? 4 : undefined })
    exchange.writeText('body')
    if (exchange.request.path !== '/at-once') exchange.flush()
    exchange.end(TRAILERS)
  })
  for (const path of ['/at-once', '/flushed', '/with-length']) {
    const answer = await browser.get(path, { te: 'trailers' })
    t.equal(answer.body.toString(), 'body')
    t.match(answer.trailers, { 'x-checksum': 'abc, def' }, path)
  }
  const deaf = await browser.get('/flushed')
  t.equal(deaf.body.toString(), 'body')
  t.equal(deaf.trailers, undefined)
})

t.test('fewer bytes than promised are told by a reset, more are not sent', async t => {
  const { browser } = await front(t, exchange => {
    exchange.begin({ ...HEAD, length: 4 })
    exchange.writeText(exchange.request.path === '/less' ? 'ab' : 'abcdef')
    exchange.end()
  })
  t.not((await browser.get('/less')).reset, 0)
  t.equal((await browser.get('/more')).body.toString(), 'abcd')
})

t.test('a field that HTTP/2 cannot carry breaks one stream and nothing else', async t => {
  const { browser, ended } = await front(t, exchange => {
    const bad = exchange.request.path === '/bad'
    exchange.begin({ ...HEAD, fields: FieldList.of([[bad ? 'Connection' : 'X', 'close']]), length: 0 })
    exchange.end()
  })
  t.not((await browser.get('/bad')).reset, 0)
  t.equal((await browser.get('/good')).status, 200)
  t.same(
    ended.map(({ record }) => record.end),
    ['internal', 'ok'],
  )
})

t.test(
  'a body that came before it was asked for is delivered in order, however often its reader pauses',
  async t => {
    const came: Buffer[] = []
    let ends = 0
    const { port, memory } = await front(t, exchange => {
      exchange.attach({ answerDrained: () => {}, clientGone: () => {} })
      const reader = {
        bodyBytes: (bytes: Uint8Array, start: number, end: number) => {
          came.push(Buffer.from(bytes.subarray(start, end)))
          exchange.pauseBody()
          // In one call as well as later.
          if (came.length % 2 === 0) exchange.resumeBody()
          else setImmediate(() => exchange.resumeBody())
        },
        bodyFlush: () => {},
        bodyEnd: () => {
          ends += 1
          exchange.begin({ ...HEAD, length: 0 })
          exchange.end()
        },
      }
      setImmediate(() => exchange.receiveBody(reader))
    })
    const client = await RawHttp2Client.connect(port)
    t.teardown(() => client.destroy())
    const body = randomBytes(60_000)
    const frames = Array.from({ length: 6 }, (_, i) => body.subarray(i * 10_000, (i + 1) * 10_000))
    const stream = client.stream()
    client.send(
      headers(stream, requestBlock('POST', '/'), FLAG.endHeaders),
      ...frames.map((frame, i) => data(stream, frame, i === 5 ? FLAG.endStream : 0)),
    )
    await until('the answer', () => client.status(stream))
    t.ok(came.length > 2, `in ${came.length} pieces`)
    t.ok(Buffer.concat(came).equals(body), 'whole and in order')
    t.equal(ends, 1)
    t.equal(memory.usedBytes, 0, 'and nothing of it is held any more')
  },
)

t.test('a body that nobody has asked for is let go with its exchange', async t => {
  const { port, memory, ended } = await front(t, exchange => {
    exchange.attach({ answerDrained: () => {}, clientGone: () => {} })
  })
  const client = await RawHttp2Client.connect(port)
  t.teardown(() => client.destroy())
  const stream = client.stream()
  client.send(headers(stream, requestBlock('POST', '/'), FLAG.endHeaders), data(stream, Buffer.alloc(9000)))
  await until('the body to be held', () => memory.extentBytes >= 9000)
  client.destroy()
  await until('the end of the exchange', () => ended.length === 1)
  t.equal(memory.extentBytes, 0)
  t.equal(memory.usedBytes, 0)
})

t.test(
  'a client that opens no window is given a probe, and nothing is made ready for it before that has left',
  async t => {
    const rooms: number[] = []
    let drained = 0
    let gone = false
    const { port, memory } = await front(t, exchange => {
      const more = () => {
        const room = exchange.room(65_536)
        rooms.push(room)
        if (room > 0 && exchange.write(Buffer.alloc(room), 0, room)) more()
        exchange.flush()
      }
      exchange.attach({
        answerDrained: () => {
          drained += 1
          more()
        },
        clientGone: () => {
          gone = true
        },
      })
      exchange.begin({ ...HEAD, length: 1_000_000 })
      more()
    })
    const client = await RawHttp2Client.connect(port, [[SETTING.initialWindowSize, 0]])
    t.teardown(() => client.reset())
    const stream = client.get('/')
    await until('the probe to wait', () => memory.usedBytes >= PROBE_BYTES)
    t.same(rooms, [PROBE_BYTES, 0])
    t.equal(drained, 0)
    client.send(windowUpdate(stream, 50_000))
    await until('the rest of the window to be used', () => rooms.length >= 4)
    t.equal(rooms[2], 50_000 - PROBE_BYTES)
    // With a FIN alone it could still want its answer.
    client.reset()
    await until('the exchange to be given up', () => gone)
  },
)

t.test('a client that leaves with a whole answer unsent leaves no memory behind', async t => {
  const { port, memory, ended } = await front(t, exchange => {
    exchange.attach({ answerDrained: () => {}, clientGone: () => {} })
    exchange.begin({ ...HEAD, length: 60_000 })
    exchange.write(Buffer.alloc(60_000), 0, 60_000)
    exchange.end()
  })
  const client = await RawHttp2Client.connect(port)
  client.get('/')
  client.get('/')
  await until('both answers to be over', () => ended.length === 2)
  await until('what the window of the connection lets go', () => client.dataBytes === 65_535)
  t.ok(memory.extentBytes > 0, 'the rest waits for it')
  client.reset()
  await until('its memory to come free', () => memory.extentBytes === 0 && memory.usedBytes === 0)
})

/** Answers with so many bytes, at the pace of the client; `given` is told of each piece. */
function download(exchange: Exchange, length: number, given: (bytes: number) => void): void {
  let left = length
  const more = () => {
    while (left > 0) {
      const room = exchange.room(Math.min(left, 65_536))
      if (room === 0) return
      left -= room
      given(room)
      const goOn = exchange.write(Buffer.alloc(room), 0, room)
      exchange.flush()
      if (!goOn) break
    }
    if (left === 0) exchange.end()
  }
  exchange.attach({
    answerDrained: more,
    clientGone: () => {
      left = -1
    },
  })
  exchange.begin({ ...HEAD, length })
  more()
}

const WIDE = [[SETTING.initialWindowSize, 0x7fffffff]] as const
const WIDER = windowUpdate(0, 0x7fffffff - 65_535)

t.test('a short answer does not wait for long ones on the same connection', async t => {
  let given = 0
  let before = 0
  const { port, ended } = await front(t, exchange => {
    if (exchange.request.target !== '/short') return download(exchange, 500_000_000, size => (given += size))
    before = given
    download(exchange, 10_000, () => {})
  })
  const client = await RawHttp2Client.connect(port, WIDE)
  t.teardown(() => client.reset())
  client.send(WIDER)
  for (let i = 0; i < 4; i += 1) client.get('/long')
  await until('the long answers to run', () => given > 2_000_000)
  client.get('/short')
  await until('the end of the short one', () => ended.length === 1)
  t.ok(given - before < 1_000_000, `${given - before} bytes of others were given meanwhile`)
})

t.test('many answers on one connection leave in frames as large as those of one alone', async t => {
  const { port, ended } = await front(t, exchange => download(exchange, 300_000, () => {}))
  const client = await RawHttp2Client.connect(port, WIDE)
  t.teardown(() => client.reset())
  client.send(WIDER)
  for (let i = 0; i < 100; i += 1) client.get('/')
  await until('all of them', () => ended.length === 100 && client.dataBytes === 30_000_000)
  const frames = client.seen.get(TYPE.data) ?? 0
  t.ok(frames < 3000, `${frames} frames of DATA`)
})

t.test('answers that wait for their own windows take no room from others', async t => {
  const { port, ended } = await front(t, exchange => {
    if (exchange.request.target === '/long') return download(exchange, 1_000_000, () => {})
    exchange.attach({ answerDrained: () => {}, clientGone: () => {} })
    exchange.begin({ ...HEAD, length: 60_000 })
    exchange.write(Buffer.alloc(60_000), 0, 60_000)
    exchange.end()
  })
  const client = await RawHttp2Client.connect(port, [[SETTING.initialWindowSize, 0]])
  t.teardown(() => client.reset())
  client.send(WIDER)
  for (let i = 0; i < 4; i += 1) client.get('/deaf')
  await until('four answers to wait', () => ended.length === 4)
  client.send(windowUpdate(client.get('/long'), 2_000_000))
  await until('the other one', () => client.dataBytes === 1_000_000)
  const frames = client.seen.get(TYPE.data) ?? 0
  t.ok(frames < 200, `${frames} frames of DATA`)
})
