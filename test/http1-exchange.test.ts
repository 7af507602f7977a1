import t from 'tap'
import { ClientMemory } from '../lib/front/connection/client-memory.ts'
import { RequestBody } from '../lib/front/connection/request-body.ts'
import { HeldBytes } from '../lib/front/http1/held-bytes.ts'
import { Http1Exchange, type Http1Wire } from '../lib/front/http1/http1-exchange.ts'
import { FieldList } from '../lib/http/field-list.ts'
import type { RequestHead } from '../lib/http/message.ts'
import { RecordingExchange } from './support/recording-exchange.ts'

// What no handler of today does: the front's side alone.

/** An exchange whose answer is kept as text. */
function exchangeFor(method: string, bodyBytes = 0) {
  let out = ''
  const calls: string[] = []
  const wire: Http1Wire = {
    dateText: 'now',
    mayKeepAlive: true,
    backedUp: false,
    writeText: text => {
      out += text
    },
    offerBytes: (_bytes: Uint8Array, _start: number, end: number) => end,
    writeBytes: (bytes, start, end) => {
      out += Buffer.from(bytes.subarray(start, end)).toString('latin1')
    },
    writeKept: () => {},
    flush: () => {},
    pumpBody: () => {
      calls.push('pump')
    },
    handOver: () => {},
    stopReading: () => {
      calls.push('stop')
    },
    finished: () => {},
  }
  const { client, origin, record, ...recorded } = new RecordingExchange({ method, target: '/' })
  const framing = bodyBytes === 0 ? 'none' : 'length'
  const request: RequestHead = { ...recorded.request, framing, contentLength: bodyBytes }
  const body = new RequestBody(request, 1000)
  const exchange = new Http1Exchange(wire, request, body, client, origin, record)
  return { exchange, body, calls, text: () => out.slice(out.indexOf('\r\n\r\n') + 4) }
}

t.test('text and bytes beyond the promised length are not sent: they would be the next answer', async t => {
  const { exchange, text } = exchangeFor('GET')
  exchange.begin({ status: 200, reason: '', fields: FieldList.of([]), length: 4 })
  exchange.writeText('abc')
  exchange.writeText('def')
  exchange.write(Buffer.from('ghi'), 0, 3)
  exchange.end()
  t.equal(text(), 'abcd')
})

t.test('nothing is sent with what has no content', async t => {
  for (const [method, status] of [
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 205],
    ['GET', 304],
  ] as const) {
    for (const length of [4, undefined]) {
      const { exchange, text } = exchangeFor(method)
      exchange.begin({ status, reason: '', fields: FieldList.of([]), length })
      exchange.writeText('abcd')
      exchange.end()
      t.equal(text(), '', `${method} ${status}`)
    }
  }
})

t.test('where there is no memory for a body nothing more is read of its connection', async t => {
  const reader = { bodyBytes: () => {}, bodyFlush: () => {}, bodyEnd: () => {} }
  const { exchange, body, calls } = exchangeFor('POST', 4)
  exchange.receiveBody(reader)
  calls.length = 0
  exchange.pauseBody(true)
  t.same(calls, ['stop'])
  exchange.resumeBody()
  t.same(calls, ['stop', 'pump'])
  body.take(Buffer.from('abcd'), 0, 4)
  exchange.pauseBody(true)
  t.same(calls, ['stop', 'pump'], 'a body that is here stops nothing: nobody would go on')
})

t.test('a connection that is not to be read is read again only when its body goes on', async t => {
  const calls: string[] = []
  const stream = { pause: () => calls.push('pause'), resume: () => calls.push('resume') }
  const held = new HeldBytes(new ClientMemory())
  held.stop(stream)
  held.readOn(stream, 1000)
  t.same(calls, ['pause'])
  held.restart()
  held.readOn(stream, 1000)
  t.same(calls, ['pause', 'resume'])
  held.hold(Buffer.alloc(100_000), 0, 100_000, false)
  held.pauseIfOver(stream, 1000)
  held.stop(stream)
  held.restart()
  held.readOn(stream, 1000)
  t.same(calls, ['pause', 'resume', 'pause'], 'not while too much lies here')
  held.clear()
  held.readOn(stream, 1000)
  t.same(calls, ['pause', 'resume', 'pause', 'resume'])
})
