import fc from 'fast-check'
import t from 'tap'
import { FrameWatch } from '../lib/wire/http2-frame-watch.ts'
import {
  data,
  FLAG,
  frame,
  headers,
  PREFACE,
  ping,
  priority,
  rstStream,
  settings,
  TYPE,
  windowUpdate,
} from './support/http2-frames.ts'

const BLOCK = Buffer.from([0x82])
const open = (stream: number) => headers(stream, BLOCK, FLAG.endHeaders)
const whole = (stream: number) => headers(stream, BLOCK, FLAG.endHeaders | FLAG.endStream)
const UNASKED = ping(FLAG.ack)

/** A watch that has had the preface and these frames. */
class Bench {
  given: Buffer[] = []
  calls = 0
  readonly sent = new Map<number, number>()
  readonly watch = new FrameWatch({
    frames: (bytes, start, end) => {
      this.calls += 1
      this.given.push(Buffer.from(bytes.subarray(start, end)))
    },
    sentOn: stream => this.sent.get(stream) ?? 0,
  })

  constructor(...before: readonly Buffer[]) {
    this.read(PREFACE, ...before)
    this.given = []
    this.calls = 0
  }

  read(...pieces: readonly Uint8Array[]) {
    const bytes = Buffer.concat(pieces)
    return this.watch.read(bytes, bytes.length)
  }

  get all(): Buffer {
    return Buffer.concat(this.given)
  }
}

t.test('a read is given on as one, preface included', async t => {
  const bench = new Bench()
  const frames = Buffer.concat([settings([3, 1]), whole(1), windowUpdate(0, 100), priority(3, 1), whole(3)])
  t.equal(bench.read(frames), undefined)
  t.same(bench.all, frames)
  t.equal(bench.calls, 1)
})

/** One or two frames that nobody minds, on a stream of their own. */
const GOOD = [
  (stream: number) => open(stream),
  (stream: number) => Buffer.concat([open(stream), data(stream, Buffer.from('abc'))]),
  (stream: number) => Buffer.concat([whole(stream), windowUpdate(stream, 5)]),
  (stream: number) => priority(stream, stream + 2),
  () => settings([3, 7]),
  () => ping(),
  () => UNASKED,
] as const

t.test(
  'however frames are cut into reads, all are given but answers to pings that were not sent',
  async t => {
    const kinds = fc.array(fc.nat({ max: GOOD.length - 1 }), { maxLength: 12 })
    fc.assert(
      fc.property(kinds, fc.array(fc.nat({ max: 40 }), { maxLength: 30 }), (picks, cuts) => {
        const frames = picks.map((kind, n) => GOOD[kind]?.(2 * n + 1) ?? settings())
        const bytes = Buffer.concat([PREFACE, ...frames])
        const given: Buffer[] = []
        const watch = new FrameWatch({
          frames: (part, start, end) => given.push(Buffer.from(part.subarray(start, end))),
          sentOn: () => 0,
        })
        let at = 0
        for (const size of [...cuts, bytes.length]) {
          const piece = Buffer.from(bytes.subarray(at, at + size))
          t.equal(watch.read(piece, piece.length), undefined)
          at += piece.length
        }
        t.same(Buffer.concat(given), Buffer.concat([PREFACE, ...frames.filter(one => !one.equals(UNASKED))]))
      }),
    )
  },
)

t.test('nothing may come on a stream that is closed (RFC 9113 5.1)', async t => {
  const closed = { code: 5, detail: 'http2: closed-stream' }
  for (const late of [data(1), open(1)]) {
    const over = new Bench(whole(1))
    over.watch.ended(1)
    t.same(over.read(late), closed)
    t.equal(over.calls, 0)
    t.same(new Bench(open(1), rstStream(1, 8)).read(late), closed, 'reset by the client')
  }
  const bench = new Bench(whole(1))
  bench.watch.ended(1)
  t.equal(bench.read(windowUpdate(1, 1), rstStream(1, 8), priority(1, 0)), undefined, 'these may be late')
})

t.test('what was on its way when we reset a stream is no mistake', async t => {
  const bench = new Bench(open(1), open(3))
  bench.watch.dropped(1)
  t.equal(bench.read(data(1, Buffer.from('x')), rstStream(1, 0), data(1)), undefined)
})

t.test('numbers of streams only grow (RFC 9113 5.1.1)', async t => {
  t.same(new Bench(whole(5)).read(whole(3)), { code: 1, detail: 'http2: stream-order' })
  t.equal(new Bench(open(5)).read(whole(5)), undefined, 'trailers')
  t.equal(new Bench().read(data(7)), undefined, 'what was never open is for node:http2 to judge')
})

t.test('PRIORITY is on a stream, and on another one (RFC 9113 6.3, RFC 7540 5.3.1)', async t => {
  const wrong = { code: 1, detail: 'http2: priority' }
  t.same(new Bench().read(priority(0, 1)), wrong)
  t.same(new Bench(open(1)).read(priority(1, 1)), wrong)
  t.equal(new Bench().read(priority(3, 1)), undefined)
  t.equal(
    new Bench().read(frame(TYPE.priority, 0, 3, Buffer.alloc(2))),
    undefined,
    'its size is judged elsewhere',
  )
})

t.test('a window does not go beyond 2^31-1, however it gets there (RFC 9113 6.9.1)', async t => {
  const bench = new Bench(open(1))
  t.equal(bench.read(windowUpdate(1, 0x7fffffff)), undefined)
  t.same(bench.read(windowUpdate(1, 0x7fffffff)), { code: 3, detail: 'http2: window' })
  const used = new Bench(open(1))
  for (let i = 0; i < 8; i += 1) {
    t.equal(used.read(windowUpdate(1, 0x7fffffff)), undefined, 'what was sent has used it up')
    used.sent.set(1, (used.sent.get(1) ?? 0) + 0x7fffffff)
  }
})

t.test(
  'an answer to a ping that was not sent is dropped (RFC 9113 6.7), one of a wrong size is judged elsewhere',
  async t => {
    const bench = new Bench()
    t.equal(bench.read(UNASKED, ping(), UNASKED), undefined)
    t.same(bench.all, ping())
    const odd = frame(TYPE.ping, FLAG.ack, 0, Buffer.alloc(6))
    const next = new Bench()
    next.read(odd)
    t.same(next.all, odd)
  },
)

t.test('it takes no more memory for a client that opens and resets for ever', async t => {
  const bench = new Bench()
  const before = process.memoryUsage().heapUsed
  for (let stream = 1; stream < 400_000; stream += 2) {
    bench.given.length = 0
    bench.read(open(stream), rstStream(stream, 8))
  }
  t.ok(process.memoryUsage().heapUsed - before < 64 * 1024 * 1024)
})
