import fc from 'fast-check'
import t from 'tap'
import { acceptOf, switchFault, websocketKey } from '../lib/http/websocket.ts'
import { FrameWatch, GOING_AWAY_TO_APP, GOING_AWAY_TO_CLIENT } from '../lib/proxy/frame-watch.ts'
import { parseRequestHead } from '../lib/wire/request-head.ts'
import { parseResponseHead } from '../lib/wire/response-head.ts'
import { KEY, opening } from './support/websocket-app.ts'

const LIMITS = { headersBytes: 32 * 1024, headerCount: 100, targetBytes: 8 * 1024 }

function keyOf(text: string): string | undefined {
  const head = parseRequestHead(text, LIMITS)
  if (head === undefined || 'refused' in head) throw new Error(`refused: ${JSON.stringify(head)}`)
  return websocketKey(head)
}

function faultOf(fields: string, status = 101): string | undefined {
  const head = parseResponseHead(`HTTP/1.1 ${status} Said\r\n${fields}\r\n`, 'GET', LIMITS)
  if (head === undefined || 'refused' in head) throw new Error(`refused: ${JSON.stringify(head)}`)
  return switchFault(head, KEY)
}

t.test('the example of RFC 6455 1.3', async t => {
  t.equal(acceptOf('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
})

t.test('a request for a WebSocket has its key, in every way of writing it', async t => {
  t.equal(keyOf(opening('/')), KEY)
  for (const connection of ['upgrade', 'keep-alive, Upgrade', 'UPGRADE,close', ' ,Upgrade', 'x-hop, Upgrade'])
    t.equal(keyOf(opening('/', '', connection)), KEY, connection)
  for (const upgrade of ['WebSocket', 'h2c, websocket', 'WEBSOCKET ,TLS/1.0'])
    t.equal(keyOf(opening('/').replace('Upgrade: websocket', `Upgrade: ${upgrade}`)), KEY, upgrade)
  t.equal(keyOf(opening('/', 'Content-Length: 0\r\n')), KEY, 'no body is no body, however it is said')
  t.equal(keyOf(opening('/', 'Upgrade: h2c\r\nConnection: keep-alive\r\n')), KEY, 'in several fields')
  t.equal(
    keyOf(opening('/').replace('Version: 13', 'Version: 8')),
    KEY,
    'the version is for the app to refuse',
  )
})

t.test('what is not quite one has none', async t => {
  const changes: readonly (readonly [from: string | RegExp, to: string])[] = [
    ['GET', 'POST'],
    ['HTTP/1.1', 'HTTP/1.0'],
    ['Connection: Upgrade', 'Connection: close'],
    ['Connection: Upgrade\r\n', ''],
    ['Upgrade: websocket', 'Upgrade: h2c'],
    ['Upgrade: websocket', 'Upgrade: websockets'],
    ['Upgrade: websocket\r\n', ''],
    [/Sec-WebSocket-Version.*\r\n/, ''],
    [/Sec-WebSocket-Version.*\r\n/, 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n'],
    [KEY, KEY.slice(1)],
    [KEY, `${KEY.slice(0, 21)}*==`],
    [/(Sec-WebSocket-Key.*\r\n)/, '$1$1'],
    [/\r\n\r\n$/, '\r\nContent-Length: 1\r\n\r\n'],
    [/\r\n\r\n$/, '\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ]
  for (const [from, to] of changes)
    t.equal(keyOf(opening('/').replace(from, to)), undefined, `${from} -> ${to}`)
})

t.test('a switch is one only if it answers the key', async t => {
  const accept = `Sec-WebSocket-Accept: ${acceptOf(KEY)}\r\n`
  const good = `Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n${accept}`
  t.equal(faultOf(good), undefined)
  t.match(faultOf(good, 200), /not a 101/)
  t.match(faultOf(good.replace('upgrade', 'close')), /Connection/)
  t.match(faultOf(good.replace('WebSocket', 'h2c')), /another protocol/)
  t.match(faultOf(good.replace('Upgrade: WebSocket\r\n', '')), /another protocol/)
  t.match(faultOf(good.replace(accept, '')), /Accept/)
  t.match(faultOf(good + accept), /Accept/)
  t.match(faultOf(good.replace('s3pP', 'S3pP')), /Accept/)
})

/** A frame with a payload of this size. */
function frame(opcode: number, size: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0
  const length =
    size < 126
      ? [mask | size]
      : size < 65536
        ? [mask | 126, size >> 8, size & 255]
        : [mask | 127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255]
  return Buffer.concat([
    Buffer.from([0x80 | opcode, ...length]),
    Buffer.alloc(masked ? 4 : 0, 7),
    Buffer.alloc(size, 0x88),
  ])
}

const frames = fc.array(
  fc.record({
    opcode: fc.constantFrom(0, 1, 2, 9, 10),
    size: fc.oneof(fc.nat(130), fc.constantFrom(125, 126, 127, 65535, 65536, 70000)),
    masked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 5 },
)

t.test('a frame watch knows the places between frames and no others, however the bytes come', async t => {
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 9000 })), (all, sizes) => {
      const watch = new FrameWatch()
      if (!watch.between) return false
      for (const { opcode, size, masked } of all) {
        const bytes = frame(opcode, size, masked)
        let at = 0
        while (at < bytes.length) {
          const end = Math.min(bytes.length, at + sizes.next().value)
          watch.take(bytes, at, end)
          at = end
          if (watch.between !== (at === bytes.length)) return false
        }
      }
      return true
    }),
  )
  t.pass()
})

t.test('behind a close frame no frame may follow', async t => {
  for (const close of [GOING_AWAY_TO_APP, GOING_AWAY_TO_CLIENT, frame(8, 0, false)]) {
    const watch = new FrameWatch()
    watch.take(frame(1, 10, true), 0, 16)
    t.equal(watch.between, true)
    watch.take(close, 0, close.length)
    t.equal(watch.between, false)
  }
})
