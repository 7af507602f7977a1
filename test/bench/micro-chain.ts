import { RequestBody } from '../../lib/front/connection/request-body.ts'
import { Http1Exchange, type Http1Wire } from '../../lib/front/http1/http1-exchange.ts'
import type { Exchange } from '../../lib/http/exchange.ts'
import { FieldList } from '../../lib/http/field-list.ts'
import { PassingExchange } from '../../lib/http/passing-exchange.ts'
import { ExchangeRecord } from '../../lib/http/record.ts'
import { RecordingExchange } from '../support/recording-exchange.ts'

// What a link of a route's chain costs: `node test/bench/micro-chain.ts`. Nanoseconds of an answer of 1 KB
// over HTTP/1, the wire a stub, with none, one and two exchanges between the handler and the client, in turn.

const EXCHANGES = 300_000
const ROUNDS = 9
const BODY = Buffer.alloc(1024)
const FIELDS = FieldList.of([
  ['Content-Type', 'text/html; charset=utf-8'],
  ['Cache-Control', 'no-cache'],
  ['X-Frame-Options', 'DENY'],
])
const OWNER = { answerDrained: () => undefined, clientGone: () => undefined }

let written = 0
const wire: Http1Wire = {
  dateText: 'Thu, 01 Jan 1970 00:00:00 GMT',
  mayKeepAlive: true,
  backedUp: false,
  writeText: text => {
    written += text.length
  },
  writeBytes: (_, start, end) => {
    written += end - start
  },
  offerBytes: (_bytes, _start, end) => end,
  writeKept: bytes => {
    written += bytes.length
  },
  flush: () => undefined,
  pumpBody: () => undefined,
  stopReading: () => undefined,
  handOver: () => undefined,
  finished: () => undefined,
}

const { request, client, origin } = new RecordingExchange({ target: '/' })

function answer(exchange: Exchange): void {
  exchange.attach(OWNER)
  exchange.begin({ status: 200, reason: '', fields: FIELDS, length: BODY.length })
  exchange.write(BODY, 0, BODY.length)
  exchange.end()
}

/** Nanoseconds an exchange, with so many links. */
function round(links: number): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < EXCHANGES; i += 1) {
    const record = new ExchangeRecord('id', 0)
    let exchange: Exchange = new Http1Exchange(
      wire,
      request,
      new RequestBody(request, 0),
      client,
      origin,
      record,
    )
    for (let link = 0; link < links; link += 1) exchange = new PassingExchange(exchange)
    answer(exchange)
  }
  return Number(process.hrtime.bigint() - start) / EXCHANGES
}

const LINKS = [0, 1, 2]
for (const links of LINKS) round(links)
const rounds = Array.from({ length: ROUNDS }, () => LINKS.map(round))
const sorted = LINKS.map(links => rounds.map(row => row[links] as number).sort((a, b) => a - b))
const median = (links: number) => sorted[links]?.[Math.floor(ROUNDS / 2)] as number
for (const links of LINKS) {
  const [least, most] = [sorted[links]?.[0] as number, sorted[links]?.at(-1) as number]
  const more = links === 0 ? '' : `, ${Math.round((median(links) - median(0)) / links)} a link`
  process.stdout.write(
    `${links} links: ${Math.round(median(links))} ns (${Math.round(least)}-${Math.round(most)})${more}\n`,
  )
}
process.stdout.write(`${written} bytes\n`)
