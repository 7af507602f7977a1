import t from 'tap'
import { Http1Exchange, type Http1Wire } from '../lib/front/http1-exchange.ts'
import { RequestBody } from '../lib/front/request-body.ts'
import { FieldList } from '../lib/http/field-list.ts'
import { RecordingExchange } from './support/recording-exchange.ts'

// What no handler of today does: the front's side alone.

/** An exchange whose answer is kept as text. */
function exchangeFor(method: string) {
  let out = ''
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
    pumpBody: () => {},
    handOver: () => {},
    finished: () => {},
  }
  const { request, client, origin, record } = new RecordingExchange({ method, target: '/' })
  const body = new RequestBody(request, 1000)
  const exchange = new Http1Exchange(wire, request, body, client, origin, record)
  return { exchange, text: () => out.slice(out.indexOf('\r\n\r\n') + 4) }
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
