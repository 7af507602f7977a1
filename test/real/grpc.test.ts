import t from 'tap'
import type { FieldList } from '../../lib/http/field-list.ts'
import { h2, start } from '../support/http2-app.ts'
import { until } from '../support/until.ts'
import { TestJob } from '../support/upstream-world.ts'
import { missing, PYTHON, startServer } from './support.ts'

const skip = missing('grpc')
t.setTimeout(90_000)

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

  /** One message with its prefix (flag and length). */
  say(text: string): void {
    const message = Buffer.alloc(5 + text.length)
    message.writeUInt32BE(text.length, 1)
    message.write(text, 5, 'latin1')
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
