import { PassThrough } from 'node:stream'
import t from 'tap'
import { Timers } from '../lib/base/timers.ts'
import { WorkerOutput } from '../lib/server/workers/worker-output.ts'
import { FakeClock } from './support/fake-clock.ts'
import { until } from './support/until.ts'

const MIB = 1024 * 1024
/** Longer than a flood is told of once. */
const LATER_MS = 1100

function make() {
  const clock = new FakeClock()
  const timers = new Timers(clock)
  const lines: string[] = []
  const dropped: number[] = []
  const output = new WorkerOutput({
    clock,
    timers,
    line: (stream, text) => lines.push(`${stream} ${text}`),
    dropped: count => dropped.push(count),
  })
  const pass = (ms: number) => {
    clock.pass(ms)
    timers.advance()
  }
  return { output, lines, dropped, pass }
}

/** A pipe whose bytes come one read after the other. */
function pipe(output: WorkerOutput, name: 'stdout' | 'stderr' = 'stdout') {
  const stream = new PassThrough({ highWaterMark: MIB })
  output.follow(stream, name)
  const say = async (bytes: string | Buffer) => {
    stream.write(bytes)
    await new Promise(setImmediate)
  }
  return { stream, say }
}

t.test('what a worker usually says is taken as it comes', async t => {
  const { output, lines, dropped, pass } = make()
  const [out, err] = [pipe(output), pipe(output, 'stderr')]
  await out.say('one\ntw')
  await err.say('Traceback\n')
  await out.say('o\n')
  // Ten seconds of an app with 1,000 requests a second.
  for (let n = 0; n < 100; n += 1) {
    await out.say('127.0.0.1 - - "GET /polls/1/ HTTP/1.1" 200 1234 "-" "Mozilla/5.0"\n'.repeat(100))
    pass(100)
  }
  t.same(lines.slice(0, 3), ['stdout one', 'stderr Traceback', 'stdout two'])
  t.equal(lines.length, 10_003)
  t.same(dropped, [])
})

t.test('of a flood a part is taken, and every line of it is either taken or counted', async t => {
  const { output, lines, dropped, pass } = make()
  const { stream, say } = pipe(output)
  const chunk = Buffer.from('x\n'.repeat(32 * 1024))
  let said = 0
  for (let n = 0; n < 200; n += 1) {
    await say(chunk)
    said += 32 * 1024
    pass(10)
  }
  t.ok(lines.length < 30_000, `${lines.length} lines of ${said} in two seconds`)
  t.ok(dropped.length <= 3, 'told once a second')
  pass(LATER_MS)
  const before = lines.length
  await say('after it\n')
  t.same(lines.slice(before), ['stdout after it'])
  stream.end()
  await until('the end', () => stream.closed)
  const lost = dropped.reduce((sum, count) => sum + count, 0)
  t.equal(lines.length + lost, said + 1)
})

t.test('both streams of a worker, and all its processes, have one budget', async t => {
  const { output, lines } = make()
  const text = 'y\n'.repeat(32 * 1024)
  for (let n = 0; n < 10; n += 1) {
    await pipe(output).say(text)
    await pipe(output, 'stderr').say(text)
  }
  t.ok(lines.length < 20_000, `${lines.length} lines`)
})

t.test('lines cost by their length', async t => {
  const { output, lines } = make()
  const { say } = pipe(output)
  for (let n = 0; n < 64; n += 1) await say(`${'z'.repeat(8000)}\n`.repeat(64))
  t.ok(lines.length > 500 && lines.length < 2000, `${lines.length} lines of 8,000 characters`)
})

t.test('who writes without end has to wait, and goes on when the second is over', async t => {
  const { output, dropped, pass } = make()
  const { stream, say } = pipe(output)
  const chunk = Buffer.from(
    'w'
      .repeat(63)
      .concat('\n')
      .repeat(16 * 1024),
  )
  let written = 0
  while (!stream.isPaused() && written < 100 * MIB) {
    await say(chunk)
    written += chunk.length
  }
  t.ok(stream.isPaused(), `after ${written / MIB} MiB`)
  t.ok(written < 40 * MIB)
  pass(LATER_MS)
  t.equal(stream.isPaused(), false)
  t.equal(dropped.length, 1)
})
