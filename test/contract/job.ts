import type { Test } from 'tap'
import { parseResponseHead } from '../../lib/wire/response-head.ts'
import { never, RecordingUpstream, rawThenClose, type Script } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import {
  type Asked,
  type JobBench,
  type JobClient,
  JobWorld,
  type Lacks,
  ScriptedAttempt,
  type Tap,
} from './job-bench.ts'
import { jobClients, jobForms } from './job-forms.ts'

/** More than all buffers between a client and an app hold. */
const MANY = Buffer.alloc(16 * 1024 * 1024, 'm')
const BODY = Buffer.alloc(256 * 1024, 'b')
const NO_BYTES = Buffer.alloc(0)
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: '
const LIMITS = { headersBytes: 8192, headerCount: 100, targetBytes: 8192 }
const RETRY = { retry: { attempts: 1, budgetShare: 1, statuses: [] } }

const answer = rawThenClose(`${HEAD}5\r\nConnection: close\r\n\r\nhello`)
/** Begins an answer and stops there. */
const begin: Script = line => line.send(`${HEAD}10\r\n\r\nhello`)
const cut: Script = line => line.reset()

/** What every maker of jobs does. To be called in a test file of its own. */
export function jobContract(t: Tap, name: string, bench: JobBench, lacks: Lacks = {}): void {
  const hasBody = lacks.body !== true
  const asked = hasBody ? { body: BODY } : {}
  const suite = { t, name, bench, asked, hasClient: lacks.client !== true, hasBody }
  answers(suite)
  failures(suite)
  waits(suite)
  if (suite.hasClient) leaves(suite)
  else goesOn(suite)
  repeats(suite)
  answerPressure(suite)
  if (suite.hasClient && hasBody) bodyPressure(suite)
  jobClients(t, name, bench)
  if (lacks.head !== true) jobForms(t, name, bench)
}

interface Suite {
  readonly t: Tap
  readonly name: string
  readonly bench: JobBench
  /** With a body, where there may be one. */
  readonly asked: Asked
  readonly hasClient: boolean
  readonly hasBody: boolean
}

/** What a client does behind the end changes nothing. */
function late(t: Test, client: JobClient): void {
  const ends = [...client.ends]
  const { length } = client.received
  client.leave()
  client.takeAnswer()
  t.same(client.ends, ends, 'no second end')
  t.equal(client.received.length, length)
}

const over = async (client: JobClient) => until('an end', () => client.ends[0])

function answers({ t, name, bench, hasClient, hasBody }: Suite): void {
  for (const body of hasBody ? [undefined, BODY, MANY] : [undefined])
    t.test(`${name}: a request with ${body?.length ?? 'no'} bytes is answered once`, async t => {
      const world = await JobWorld.start(t, answer)
      const client = bench.client(world, body === undefined ? {} : { body })
      client.start()
      await over(client)
      t.same(client.ends, [bench.endOf('whole')])
      if (hasClient) t.match(client.received.toString('latin1'), /hello$/)
      t.equal(world.app.requests.length, 1)
      t.ok(world.app.requests[0]?.body.equals(body ?? NO_BYTES), 'the body is whole')
      late(t, client)
      await world.assertFree(t)
    })
}

function failures({ t, name, bench, asked }: Suite): void {
  t.test(`${name}: a refused connect ends it once`, async t => {
    const world = await JobWorld.start(t, never)
    await world.app.stop()
    const client = bench.client(world, asked)
    client.start()
    await over(client)
    t.same(client.ends, [bench.endOf('CONNECT_FAILED')])
    t.equal(client.received.length, 0)
    late(t, client)
    await world.assertFree(t)
  })

  t.test(`${name}: an app that is gone before its answer ends it once`, async t => {
    const world = await JobWorld.start(t, cut)
    const client = bench.client(world, asked)
    client.start()
    await over(client)
    t.same(client.ends, [bench.endOf('UPSTREAM_CLOSED')])
    t.equal(client.received.length, 0)
    late(t, client)
    await world.assertFree(t)
  })

  t.test(`${name}: an app that is gone inside its answer ends it once`, async t => {
    const world = await JobWorld.start(t, begin)
    const client = bench.client(world, asked)
    client.start()
    await until('the answer to begin', () => client.job.record.firstByteAtMs)
    t.same(client.ends, [])
    for (const socket of world.app.sockets) socket.resetAndDestroy()
    await over(client)
    t.same(client.ends, [bench.endOf(bench.cut)])
    late(t, client)
    await world.assertFree(t)
  })
}

function waits({ t, name, bench, asked, hasClient }: Suite): void {
  if (!hasClient) {
    t.test(`${name}: without a free slot it is dropped at once`, async t => {
      const world = await JobWorld.start(t, answer)
      const free = await world.hold()
      const client = bench.client(world, asked)
      client.start()
      t.same(client.ends, ['dropped'])
      t.equal(world.waiting, 0)
      free()
      late(t, client)
      await world.assertFree(t)
      t.equal(world.app.seen('/x').length, 0, 'no app was asked')
    })
    return
  }

  t.test(`${name}: it waits for a slot until there is one`, async t => {
    const world = await JobWorld.start(t, answer)
    const free = await world.hold()
    const client = bench.client(world, asked)
    client.start()
    t.equal(world.waiting, 1)
    t.same(client.ends, [])
    free()
    await over(client)
    t.same(client.ends, [bench.endOf('whole')])
    late(t, client)
    await world.assertFree(t)
  })

  t.test(`${name}: a client that leaves the queue leaves its place, and no app is asked`, async t => {
    const world = await JobWorld.start(t, answer, { queue: { length: 1, timeoutMs: 60_000 } })
    const free = await world.hold()
    const [client, next] = [bench.client(world, asked), bench.client(world, asked)]
    client.start()
    client.leave()
    t.equal(world.waiting, 0)
    client.leave()
    t.equal(world.waiting, 0)
    next.start()
    t.equal(world.waiting, 1, 'the place is free')
    free()
    await over(next)
    t.same(next.ends, [bench.endOf('whole')])
    t.same(client.ends, [])
    t.equal(world.app.seen('/x').length, 1)
    await world.assertFree(t)
  })

  for (const [code, queue] of [
    ['QUEUE_FULL', { length: 0, timeoutMs: 60_000 }],
    ['QUEUE_TIMEOUT', { length: 1, timeoutMs: 50 }],
  ] as const)
    t.test(`${name}: a full or slow queue ends it once (${code})`, async t => {
      const world = await JobWorld.start(t, answer, { queue })
      const free = await world.hold()
      const client = bench.client(world, asked)
      client.start()
      await over(client)
      t.same(client.ends, [code])
      free()
      late(t, client)
      await world.assertFree(t)
      t.equal(world.app.seen('/x').length, 0, 'no app was asked')
    })
}

function leaves({ t, name, bench, asked }: Suite): void {
  t.test(`${name}: a client that leaves ends the attempt, once`, async t => {
    const world = await JobWorld.start(t, never)
    const client = bench.client(world, asked)
    const attempt = new ScriptedAttempt()
    client.job.attempting(attempt)
    client.leave()
    t.equal(attempt.cancelled, 1)
    client.leave()
    client.takeAnswer()
    t.equal(attempt.cancelled, 1)
    t.equal(attempt.resumed, 0)
    t.same(client.ends, [])
    await world.assertFree(t)
  })

  t.test(`${name}: a client does not reach an attempt that has ended`, async t => {
    const world = await JobWorld.start(t, never)
    for (const end of ['answerEnd', 'failed'] as const) {
      const client = bench.client(world, asked)
      const attempt = new ScriptedAttempt()
      client.job.attempting(attempt)
      client.job.bodyWanted()
      client.job.answered(head(0))
      if (end === 'failed') client.job.failed('UPSTREAM_CLOSED', 'gone')
      else client.job.answerEnd()
      late(t, client)
      t.equal(attempt.cancelled, 0)
      t.equal(attempt.resumed, 0)
    }
    await world.assertFree(t)
  })

  for (const when of ['while it connects', 'before the answer', 'inside the answer'] as const)
    t.test(`${name}: a client that leaves ${when} frees all`, async t => {
      const world = await JobWorld.start(t, when === 'inside the answer' ? begin : never)
      const client = bench.client(world, asked)
      client.start()
      if (when === 'before the answer') await world.app.arrival('/x')
      if (when === 'inside the answer') await until('the answer', () => client.job.record.firstByteAtMs)
      client.leave()
      t.same(client.ends, [])
      await until('the app to see it', () => world.app.open === 0)
      await world.assertFree(t)
      t.same(client.ends, [])
    })
}

function goesOn({ t, name, bench, asked }: Suite): void {
  for (const when of ['while it connects', 'before the answer', 'inside the answer'] as const)
    t.test(`${name}: a client that leaves ${when} changes nothing`, async t => {
      const world = await JobWorld.start(t, when === 'inside the answer' ? begin : never)
      const client = bench.client(world, asked)
      client.start()
      if (when === 'before the answer') await world.app.arrival('/x')
      if (when === 'inside the answer') await until('the answer', () => client.job.record.firstByteAtMs)
      client.leave()
      await until('the whole request', () => world.app.requests[0]?.complete)
      const [socket] = world.app.sockets
      socket?.end(when === 'inside the answer' ? 'hello' : `${HEAD}5\r\nConnection: close\r\n\r\nhello`)
      await over(client)
      t.same(client.ends, [bench.endOf('whole')])
      t.ok(world.app.requests[0]?.body.equals(asked.body ?? NO_BYTES), 'the whole body')
      await world.assertFree(t)
    })
}

function repeats({ t, name, bench, asked }: Suite): void {
  const { first, flowing } = bench.repeatable
  const lasts = flowing ? 'at any time' : 'until its body flows'
  t.test(`${name}: its request may ${first ? `be sent again ${lasts}` : 'not be sent again'}`, async t => {
    const world = await JobWorld.start(t, never)
    const client = bench.client(world, asked)
    t.equal(client.job.repeatable, first)
    client.job.attempting(new ScriptedAttempt())
    t.equal(client.job.repeatable, first, 'connecting')
    client.job.bodyWanted()
    t.equal(client.job.repeatable, flowing, 'the body flows')
    client.leave()
    await world.assertFree(t)
  })

  const again = flowing ? 'is repeated with the same head and body' : 'is not repeated'
  t.test(`${name}: a request that an app has cut off ${again}`, async t => {
    const serve: Script = (line, request) => (world.app.requests.length === 1 ? cut : answer)(line, request)
    const world = await JobWorld.start(t, serve, RETRY)
    const client = bench.client(world, asked)
    client.start()
    await over(client)
    t.same(client.ends, [bench.endOf(flowing ? 'whole' : 'UPSTREAM_CLOSED')])
    const { requests } = world.app
    t.equal(requests.length, flowing ? 2 : 1)
    const [one, two] = requests
    if (flowing) {
      t.equal(two?.head.raw, one?.head.raw, 'the same head')
      t.ok(two?.body.equals(asked.body ?? NO_BYTES), 'the whole body')
    }
    late(t, client)
    await world.assertFree(t)
  })

  const elsewhere = first ? 'takes the same request elsewhere' : 'is not repeated elsewhere'
  t.test(`${name}: a refused connect ${elsewhere}`, async t => {
    const gone = await RecordingUpstream.start(t)
    await gone.stop()
    const world = await JobWorld.start(t, answer, RETRY, [gone.port])
    let refused = 0
    // More requests than endpoints: at least one is sent first to the endpoint that is gone.
    for (let i = 0; i < 4; i += 1) {
      const client = bench.client(world, asked)
      client.start()
      await over(client)
      const { attempts } = client.job.record
      const isRefused = first ? attempts === 2 : client.ends[0] === bench.endOf('CONNECT_FAILED')
      refused += Number(isRefused)
      t.same(client.ends, [bench.endOf(isRefused && !first ? 'CONNECT_FAILED' : 'whole')])
      t.equal(attempts, isRefused && first ? 2 : 1)
    }
    t.ok(refused > 0, 'the one that is gone was asked')
    const { requests } = world.app
    t.equal(requests.length, first ? 4 : 4 - refused)
    t.equal(new Set(requests.map(it => it.head.raw)).size, 1, 'the same head')
    for (const { body } of requests) t.ok(body.equals(asked.body ?? NO_BYTES), 'the whole body')
    await world.assertFree(t)
  })
}

function head(length: number) {
  const parsed = parseResponseHead(`${HEAD}${length}\r\n\r\n`, 'GET', LIMITS)
  if (parsed === undefined || 'refused' in parsed) throw new Error('no head')
  return parsed
}

function answerPressure({ t, name, bench, hasClient }: Suite): void {
  t.test(`${name}: ${hasClient ? 'a slow client pauses its app' : 'no client pauses the app'}`, async t => {
    const world = await JobWorld.start(t, never)
    const client = bench.client(world, {})
    const attempt = new ScriptedAttempt()
    client.job.attempting(attempt)
    client.job.bodyWanted()
    client.job.answered(head(BODY.length))
    client.holdAnswer()
    t.equal(client.job.answerBytes(BODY, 0, BODY.length), !hasClient)
    t.equal(attempt.resumed, 0)
    client.takeAnswer()
    if (hasClient) {
      await until('the app to go on', () => attempt.resumed > 0)
      client.job.answerEnd()
      t.same(client.ends, [bench.endOf('whole')])
      t.ok(client.received.equals(BODY))
    }
    t.equal(attempt.cancelled, 0)
    await world.assertFree(t)
  })

  const comes = hasClient ? 'a long answer to a slow client comes whole' : 'a long answer is taken whole'
  t.test(`${name}: ${comes}`, async t => {
    const serve: Script = line => {
      line.send(`${HEAD}${MANY.length}\r\nConnection: close\r\n\r\n`)
      line.send(MANY)
      line.end()
    }
    const world = await JobWorld.start(t, serve)
    const client = bench.client(world, {})
    client.holdAnswer()
    client.start()
    if (hasClient) {
      await until('the answer', () => client.job.record.firstByteAtMs)
      t.same(client.ends, [])
      client.takeAnswer()
    }
    await over(client)
    t.same(client.ends, [bench.endOf('whole')])
    if (hasClient) t.ok(client.received.subarray(-MANY.length).equals(MANY))
    late(t, client)
    await world.assertFree(t)
  })
}

function bodyPressure({ t, name, bench }: Suite): void {
  t.test(`${name}: a slow app pauses the body until it takes it again`, async t => {
    const world = await JobWorld.start(t, never)
    const client = bench.client(world, { body: MANY })
    const attempt = new ScriptedAttempt()
    attempt.takesBody = false
    client.job.attempting(attempt)
    client.job.bodyWanted()
    await until('the body', () => attempt.bodyBytes > 0)
    t.equal(attempt.unasked, 0)
    t.ok(attempt.bodyBytes < MANY.length, 'it waits')
    attempt.drain()
    client.job.sendDrained()
    await until('all of it', () => attempt.bodyBytes >= MANY.length)
    t.equal(attempt.cancelled, 0)
    client.leave()
    await world.assertFree(t)
  })
}
