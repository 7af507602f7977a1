import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { LogDestination, type LogTarget } from '../lib/base/log-destination.ts'
import { Timers } from '../lib/base/timers.ts'
import { until } from './support/until.ts'

/** A destination on a clock that the test moves. */
class Desk {
  nowMs = 0
  readonly clock = { now: () => this.nowMs, wall: () => 0 }
  readonly timers = new Timers(this.clock)
  readonly log: LogDestination

  /** Why writing fails, each time that this changed. */
  readonly flips: (string | undefined)[] = []

  constructor(target: LogTarget, maxBacklog?: number) {
    const { timers, clock } = this
    this.log = new LogDestination({
      target,
      timers,
      clock,
      observer: { flipped: problem => this.flips.push(problem) },
      ...(maxBacklog === undefined ? {} : { maxBacklog }),
    })
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.timers.advance()
  }
}

interface Pipe {
  readonly readFd: number
  readonly writeFd: number
}

/** A pipe whose reading end the test reads when it likes. Neither end ever blocks. */
function pipe(t: Test): Pipe {
  const path = join(t.testdir({}), 'pipe')
  execFileSync('mkfifo', [path])
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writeFd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  t.teardown(() => {
    closeSync(readFd)
    closeSync(writeFd)
  })
  return { readFd, writeFd }
}

/** All that the pipe holds now. */
function drain({ readFd }: Pipe): string {
  const bytes = Buffer.alloc(64 * 1024)
  let text = ''
  for (;;) {
    try {
      const count = readSync(readFd, bytes)
      if (count === 0) return text
      text += bytes.toString('latin1', 0, count)
    } catch {
      return text
    }
  }
}

const read = (path: string) => readFileSync(path, 'utf8')

t.test('lines wait a moment for company and leave together', async t => {
  const path = join(t.testdir({}), 'a.log')
  const desk = new Desk({ kind: 'file', path })
  desk.log.write('one\n')
  desk.pass(200)
  desk.log.write('two\n')
  t.equal(read(path), '')
  desk.pass(100)
  await until('the lines', () => read(path) === 'one\ntwo\n')
  await desk.log.close()
})

t.test('64 KiB do not wait', async t => {
  const path = join(t.testdir({}), 'a.log')
  const { log } = new Desk({ kind: 'file', path })
  const line = `${'x'.repeat(1023)}\n`
  for (let i = 0; i < 64; i += 1) log.write(line)
  await until('the lines', () => statSync(path).size === 64 * 1024)
  await log.close()
})

t.test('a file is appended to, and nobody else may read it', async t => {
  const path = join(t.testdir({ 'a.log': 'before\n' }), 'a.log')
  const { log } = new Desk({ kind: 'file', path })
  log.write('after ü\n')
  await log.close()
  t.equal(read(path), 'before\nafter ü\n')
  const fresh = `${path}.new`
  await new Desk({ kind: 'file', path: fresh }).log.close()
  t.equal(statSync(fresh).mode & 0o007, 0)
})

t.test('a file that cannot be opened is an error at once', async t => {
  t.throws(() => new Desk({ kind: 'file', path: join(t.testdir({}), 'no', 'a.log') }), { code: 'ENOENT' })
})

t.test('a reader that stalls costs lines, never memory, and is told how many', async t => {
  const ends = pipe(t)
  const desk = new Desk({ kind: 'fd', fd: ends.writeFd }, 200_000)
  let kept = 0
  for (let i = 0; i < 10_000; i += 1) {
    const before = desk.log.dropped
    desk.log.write(`${i} ${'x'.repeat(90)}\n`)
    if (desk.log.dropped === before) kept += 1
  }
  t.ok(kept > 1000 && kept < 4000, `${kept} kept`)
  t.equal(desk.log.dropped, 10_000 - kept)
  let text = ''
  await until('the pipe to run dry', () => {
    desk.pass(300)
    text += drain(ends)
    return text.includes(`"msg":"dropped ${10_000 - kept} lines"`)
  })
  const lines = text.split('\n').filter(line => /^\d/.test(line))
  t.same(
    lines.map(line => Number.parseInt(line, 10)),
    Array.from({ length: kept }, (_, i) => i),
    'the oldest are kept, in order',
  )
  t.ok(
    lines.every(line => line.endsWith(` ${'x'.repeat(90)}`)),
    'and whole',
  )
  t.match(
    text,
    /\{"level":"warn","time":"1970-01-01T00:00:00.000Z","msg":"dropped \d+ lines","lines":\d+\}\n$/,
  )
  desk.log.write('later\n')
  await desk.log.close()
  t.equal(drain(ends), 'later\n', 'it is said once')
})

t.test('a batch counts as many lines as it has', async t => {
  const { log } = new Desk({ kind: 'file', path: join(t.testdir({}), 'a.log') }, 10)
  log.write('a\nb\nc\nd\ne\nf\n', 6)
  log.drop(2)
  t.equal(log.dropped, 8)
  await log.close()
})

t.test('reopen follows a file that was moved away, and loses nothing', async t => {
  const path = join(t.testdir({}), 'a.log')
  const desk = new Desk({ kind: 'file', path })
  desk.log.write('old\n')
  desk.log.flush()
  renameSync(path, `${path}.1`)
  desk.log.reopen()
  desk.log.reopen()
  await until('the line in the moved file', () => read(`${path}.1`) === 'old\n')
  desk.log.write('new\n')
  desk.pass(300)
  await until('the line in the new file', () => read(path) === 'new\n')
  await desk.log.close()
  t.equal(read(`${path}.1`), 'old\n')
})

t.test('when reopening fails the old file goes on', async t => {
  const path = join(t.testdir({}), 'a.log')
  const { log } = new Desk({ kind: 'file', path })
  renameSync(path, `${path}.1`)
  mkdirSync(path)
  t.throws(() => log.reopen(), { code: 'EISDIR' })
  log.write('still\n')
  await log.close()
  t.equal(read(`${path}.1`), 'still\n')
})

t.test('flushSync has written when it returns', async t => {
  const path = join(t.testdir({}), 'a.log')
  const { log } = new Desk({ kind: 'file', path })
  log.write('last words\n')
  log.flushSync()
  t.equal(read(path), 'last words\n')
  await log.close()
  t.equal(read(path), 'last words\n', 'and it is there once')
})

t.test('a stalled reader does not keep the process from ending', async t => {
  const ends = pipe(t)
  const { log } = new Desk({ kind: 'fd', fd: ends.writeFd })
  log.write(`${'x'.repeat(1_000_000)}\n`)
  await log.close()
  t.ok(drain(ends).length < 1_000_000)
})

t.test('what comes after the close counts as dropped', async t => {
  const path = join(t.testdir({}), 'a.log')
  const { log } = new Desk({ kind: 'file', path })
  await log.close()
  await log.close()
  log.write('late\n')
  t.equal(log.dropped, 1)
  t.equal(read(path), '')
})

t.test(
  'a FIFO that nobody reads holds up neither opening nor closing; who comes to read finds the lines',
  async t => {
    const path = join(t.testdir({}), 'fifo')
    execFileSync('mkfifo', [path])
    const desk = new Desk({ kind: 'file', path })
    desk.log.write('first\n')
    desk.log.flush()
    const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    t.teardown(() => closeSync(readFd))
    await until('the line', () => drain({ readFd, writeFd: -1 }) === 'first\n')
    for (let i = 0; i < 200; i += 1) desk.log.write('x'.repeat(1023))
    desk.log.flush()
    const closed = desk.log.close()
    const ticking = setInterval(() => desk.pass(100), 10)
    await closed
    clearInterval(ticking)
    t.pass('closed beside a reader that does not read')
  },
)

t.test('a full disk is told once, and once when it is over; status has a sentence meanwhile', async t => {
  const folder = t.testdir({})
  const path = join(folder, 'access.log')
  symlinkSync('/dev/full', path)
  const desk = new Desk({ kind: 'file', path })
  desk.log.write('lost for now\n')
  desk.log.flush()
  await until('the failure', () => desk.flips.length === 1)
  t.same(desk.flips, ['no space left on the device'])
  t.equal(desk.log.problem, 'no space left on the device; 0 lines lost so far')
  rmSync(path)
  desk.log.reopen()
  await until('the line', () => {
    desk.pass(100)
    return existsSync(path) && read(path) === 'lost for now\n'
  })
  await until('the end of it', () => desk.flips.length === 2)
  t.equal(desk.log.problem, undefined)
  await desk.log.close()
})

t.test('a flood of lines that are not ours leaves room for those that are', async t => {
  const ends = pipe(t)
  const desk = new Desk({ kind: 'fd', fd: ends.writeFd }, 512 * 1024)
  for (let i = 0; i < 2_000; i += 1) desk.log.writeOther(`${'x'.repeat(1022)}\n`)
  desk.log.writeBytes(Buffer.from(`${'y'.repeat(1022)}\n`))
  const lost = desk.log.dropped
  t.ok(lost > 1_000, `${lost} were lost`)
  t.match(desk.log.problem, /^its reader is too slow; \d+ lines lost so far$/)
  desk.log.write('this is ours\n')
  t.equal(desk.log.dropped, lost)
  desk.pass(61_000)
  t.equal(desk.log.problem, undefined, 'a minute later it is over')
})
