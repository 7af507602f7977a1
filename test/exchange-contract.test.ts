import t, { type Test } from 'tap'
import type { Exchange } from '../lib/http/exchange.ts'
import type { AnswerHead } from '../lib/http/message.ts'
import { withField } from '../lib/http/one-field.ts'
import { PassingExchange } from '../lib/http/passing-exchange.ts'
import { exchangeContract } from './contract/exchange.ts'
import { type Asked, type ExchangeBench, head, kept, Owner, type Seen } from './contract/exchange-bench.ts'
import { startFront } from './support/fronts.ts'
import { Http2Client } from './support/http2-client.ts'
import { RawClient, type RawResponse } from './support/raw-client.ts'
import { RawHttp2Client } from './support/raw-http2-client.ts'
import { RecordingExchange } from './support/recording-exchange.ts'
import { until } from './support/until.ts'

type Act = (exchange: Exchange) => void

function seenOf(answer: RawResponse): Seen {
  const fields = Object.fromEntries(answer.fields.map(([name, value]) => [name.toLowerCase(), value]))
  return { status: answer.status, fields, body: answer.body.toString(), whole: answer.complete }
}

function http1Text({ method, body, unknownLength }: Asked): string {
  const start = `${method ?? (body === undefined ? 'GET' : 'POST')} / HTTP/1.1\r\nHost: example.test\r\n`
  if (body === undefined) return `${start}\r\n`
  if (unknownLength !== true) return `${start}Content-Length: ${body.length}\r\n\r\n${body}`
  return `${start}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
}

const http1: ExchangeBench = {
  async ask(t: Test, asked: Asked, act: Act): Promise<Seen> {
    const { port } = await startFront(t, 'http1', act)
    const client = await RawClient.connect(port)
    t.teardown(() => client.destroy())
    client.send(http1Text(asked))
    return seenOf(await client.response(asked.method))
  },

  async leave(t: Test, act: Act): Promise<void> {
    let acted = false
    const { port, ended } = await startFront(t, 'http1', exchange => {
      act(exchange)
      acted = true
    })
    const client = await RawClient.connect(port)
    client.send(http1Text({}))
    await until('the exchange to begin', () => acted)
    client.reset()
    await until('the exchange to end', () => ended.length === 1)
  },
}

const http2: ExchangeBench = {
  async ask(t: Test, { method, body, unknownLength }: Asked, act: Act): Promise<Seen> {
    const { port } = await startFront(t, 'http2', act)
    const client = new Http2Client(port)
    t.teardown(() => client.destroy())
    const call = client.call(
      {
        ':method': method ?? (body === undefined ? 'GET' : 'POST'),
        ':path': '/',
        ...(body === undefined || unknownLength === true ? {} : { 'content-length': body.length }),
      },
      body !== undefined,
    )
    if (body !== undefined) call.stream.end(body)
    const { status, headers, body: content, reset } = await call.answer
    const fields = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
    return { status, fields, body: content.toString(), whole: reset === 0 }
  },

  async leave(t: Test, act: Act): Promise<void> {
    let acted = false
    const { port, ended } = await startFront(t, 'http2', exchange => {
      act(exchange)
      acted = true
    })
    const client = await RawHttp2Client.connect(port)
    client.get('/')
    await until('the exchange to begin', () => acted)
    client.reset()
    await until('the exchange to end', () => ended.length === 1)
  },
}

/** The same with one exchange of a chain between the handler and the client. */
const passing = (bench: ExchangeBench): ExchangeBench => ({
  ask: (t, asked, act) => bench.ask(t, asked, exchange => act(new PassingExchange(exchange))),
  leave: (t, act) => bench.leave(t, exchange => act(new PassingExchange(exchange))),
})

/** What stands for an exchange in tests of handlers behaves towards them as one does. */
const recording: ExchangeBench = {
  async ask(_: Test, { method = 'GET' }: Asked, act: Act): Promise<Seen> {
    const exchange = new RecordingExchange({ target: '/', method })
    act(exchange)
    await exchange.done
    const names = exchange.head === undefined ? [] : exchange.head.fields
    const fields: Record<string, string> = {}
    if (!Array.isArray(names))
      for (let i = 0; i < names.count; i += 1) fields[names.name(i).toLowerCase()] = names.value(i)
    const whole = exchange.complete || exchange.head === undefined
    return { status: exchange.status, fields, body: exchange.body.toString(), whole }
  },

  async leave(_: Test, act: Act): Promise<void> {
    const exchange = new RecordingExchange({ target: '/' })
    act(exchange)
    exchange.leave()
    await exchange.done
  },
}

/** What a link of a chain that changes heads makes of them. */
class Edited extends PassingExchange {
  protected override changed(head: AnswerHead): AnswerHead {
    return { ...head, fields: withField(head.fields, 'X-Edited', 'yes') }
  }
}

t.test('what changes heads changes those of kept answers too', async t => {
  const acts: Readonly<Record<string, Act>> = {
    'as it comes': exchange => {
      exchange.begin(head(4))
      exchange.writeText('abcd')
      exchange.end()
    },
    kept: exchange => exchange.answerKept(kept('abcd')),
  }
  for (const bench of [http1, http2])
    for (const [kind, act] of Object.entries(acts)) {
      const seen = await bench.ask(t, {}, exchange => {
        const edited = new Edited(exchange)
        edited.attach(new Owner())
        act(edited)
      })
      t.match(
        seen,
        { status: 200, fields: { 'x-one': '1', 'x-edited': 'yes' }, body: 'abcd', whole: true },
        kind,
      )
    }
})

exchangeContract(t, 'HTTP/1', http1)
exchangeContract(t, 'HTTP/2', http2)
exchangeContract(t, 'passing, HTTP/1', passing(http1))
exchangeContract(t, 'passing, HTTP/2', passing(http2))
exchangeContract(t, 'recording', recording, { requestBodies: true, wire: true })
exchangeContract(t, 'passing, recording', passing(recording), { requestBodies: true, wire: true })
