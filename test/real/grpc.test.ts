import { connect } from 'node:http2'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import type { FieldList } from '../../lib/http/field-list.ts'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { h2, start } from '../support/http2-app.ts'
import { until } from '../support/until.ts'
import { TestJob } from '../support/upstream-world.ts'
import { missing, PYTHON, startServer } from './support.ts'

const skip = missing('grpc')
/** How long an upload may be silent. */
const BODY_MS = 200

/** A call as a client's HTTP/2 stream would bring it. */
class Call extends TestJob {
  head = ''
  trailers = ''
  override bodyFraming = 'chunked' as const
  override readonly more = ['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'test']

  constructor(method: string) {
    super(`/test.Service/${method}`, undefined, 'POST')
  }

  override bodyWanted(): void {}

  override answered(head: Parameters<TestJob['answered']>[0]): void {
    this.head = head.fields.toText()
    super.answered(head)
  }

  override answerEnd(trailers?: FieldList): void {
    this.trailers = trailers?.toText() ?? ''
    super.answerEnd(trailers)
  }

  say(text: string): void {
    const message = framed(text)
    this.attempt?.sendBody(message, 0, message.length)
  }

  done(): void {
    this.attempt?.endBody()
  }
}

t.test('a real gRPC server behind h2c', { skip }, async t => {
  const app = await startServer(t, [PYTHON, 'grpc_app.py'], {}, /listening on (\d+)/)
  const { world, upstream } = start(t, h2([app.port]))
  const begin = async (method: string) => {
    const call = new Call(method)
    let wanted = false
    call.bodyWanted = () => {
      wanted = true
    }
    upstream.submit(call)
    await until('the call to have a stream', () => wanted)
    return call
  }

  await t.test('a call is answered, with its status in the trailers', async t => {
    const call = await begin('Unary')
    call.say('hello')
    call.done()
    t.equal(await call.end(), 200)
    t.match(call.received, 'got hello')
    t.match(call.head, 'content-type: application/grpc')
    t.match(call.trailers, /x-count: 5\r\n/)
    t.match(call.trailers, /grpc-status: 0\r\n/)
  })

  await t.test('a stream of messages flows both ways at the same time', async t => {
    const call = await begin('BothWays')
    for (const word of ['one', 'two', 'three']) {
      call.say(word)
      await until(`the echo of ${word}`, () => call.received.includes(`got ${word}`))
    }
    call.done()
    t.equal(await call.end(), 200)
    t.match(call.trailers, /grpc-status: 0\r\n/)
  })

  await t.test('a call that fails says so, with nothing but fields', async t => {
    const call = await begin('Failing')
    call.say('x')
    call.done()
    t.equal(await call.end(), 200)
    t.match(call.head + call.trailers, /grpc-status: 9\r\n/)
    t.match(call.head + call.trailers, /grpc-message: not today\r\n/)
  })

  await t.test('calls share a connection, and nothing is left of them', async t => {
    const calls = await Promise.all(Array.from({ length: 20 }, () => begin('Unary')))
    for (const call of calls) {
      call.say('x')
      call.done()
    }
    for (const call of calls) t.equal(await call.end(), 200)
    t.ok(world.gauges().every(gauge => gauge === 0))
  })

  await t.test('a client that leaves in mid-call ends it at the app', async t => {
    const call = await begin('BothWays')
    call.say('one')
    await until('the echo', () => call.received.includes('got one'))
    call.leave()
    t.ok(world.gauges().every(gauge => gauge === 0))
    const next = await begin('Unary')
    next.say('y')
    next.done()
    t.equal(await next.end(), 200, 'the connection goes on')
  })
})

/** A message with its prefix: flag and length. */
function framed(text: string): Buffer {
  const message = Buffer.alloc(5 + text.length)
  message.writeUInt32BE(text.length, 1)
  message.write(text, 5, 'latin1')
  return message
}

t.test('gRPC from a client of HTTP/2 through Causeway to a real server', { skip }, async t => {
  const app = await startServer(t, [PYTHON, 'grpc_app.py'], {}, /listening on (\d+)/)
  const config = configText({
    endpoints: [`h2c://127.0.0.1:${app.port}`],
    listener: `h2c = true\ntimeouts = { body = "${BODY_MS}ms", min_rate = "1MiB/s" }`,
    upstream: 'timeouts = { idle = "20s" }',
  })
  const causeway = await startCauseway(t, { config })
  const session = connect(`http://127.0.0.1:${causeway.port()}`)
  t.teardown(() => session.destroy())
  const begin = (method: string) => {
    const fields = { 'content-type': 'application/grpc', te: 'trailers' }
    const stream = session.request({ ':method': 'POST', ':path': `/test.Service/${method}`, ...fields })
    const call = { stream, received: '', trailers: {} as Readonly<Record<string, unknown>>, closed: false }
    stream.on('data', (bytes: Buffer) => {
      call.received += bytes.toString('latin1')
    })
    stream.on('trailers', trailers => {
      call.trailers = trailers
    })
    stream.once('close', () => {
      call.closed = true
    })
    return call
  }

  await t.test('both sides speak in turn, and the status comes in the trailers', async t => {
    const call = begin('BothWays')
    for (const word of ['one', 'two', 'three']) {
      call.stream.write(framed(word))
      await until(`the echo of ${word}`, () => call.received.includes(`got ${word}`))
    }
    call.stream.end()
    await until('the end', () => call.closed)
    t.match(call.trailers, { 'grpc-status': '0' })
  })

  await t.test('calls may be silent, and say little, for longer than an upload may', async t => {
    const [both, gathers] = [begin('BothWays'), begin('Gather')]
    for (const word of ['one', 'two', 'three']) {
      for (const call of [both, gathers]) call.stream.write(framed(word))
      await until(`the echo of ${word}`, () => both.received.includes(`got ${word}`))
      await pause(3 * BODY_MS)
    }
    for (const call of [both, gathers]) call.stream.end()
    await until('the end', () => both.closed && gathers.closed)
    t.match(gathers.received, 'got one two three')
    for (const call of [both, gathers]) t.match(call.trailers, { 'grpc-status': '0' })
  })

  await t.test('a call that fails says so', async t => {
    const call = begin('Failing')
    call.stream.end(framed('x'))
    const headers = await new Promise<Readonly<Record<string, unknown>>>(done =>
      call.stream.once('response', done),
    )
    await until('the end', () => call.closed)
    t.match({ ...headers, ...call.trailers }, { 'grpc-status': '9', 'grpc-message': 'not today' })
  })

  await t.test('fifty calls at a time', async t => {
    const calls = Array.from({ length: 50 }, () => begin('Unary'))
    for (const [n, { stream }] of calls.entries()) stream.end(framed(`call ${n}`))
    await until('all to end', () => calls.every(({ closed }) => closed))
    for (const [n, { received, trailers }] of calls.entries()) {
      t.match(received, `got call ${n}`)
      t.match(trailers, { 'grpc-status': '0' })
    }
  })
})
