import { createHash, randomBytes } from 'node:crypto'
import { closeSync, ftruncateSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import t, { type Test } from 'tap'
import { LARGE_EXTENT, SMALL_EXTENT } from '../lib/base/arena.ts'
import { CellColumn, createCellMemory } from '../lib/base/cells.ts'
import { Spool } from '../lib/proxy/spool.ts'
import { openAndUnlink } from '../lib/proxy/spool-file.ts'
import { SpoolLog, type SpoolTerms } from '../lib/proxy/spool-log.ts'
import { SPOOL_BLOCK } from '../lib/proxy/spool-measures.ts'
import { SpoolReader } from '../lib/proxy/spool-reader.ts'
import { until } from './support/until.ts'

const KIB = 1024
const MIB = KIB * KIB
const LIMITS = { memoryBytes: 64 * KIB, memoryTotalBytes: 64 * MIB, diskBytes: 64 * MIB }
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A spool over cells of its own, in a folder of its own. */
class Bench {
  readonly folder: string
  readonly cells = new CellColumn(createCellMemory(1, SPOOL_BLOCK.size), 0)
  readonly spool: Spool
  room = 0
  stopped = 0
  readonly failures: string[] = []
  readonly lost: SpoolLog[] = []

  constructor(t: Test, limits: Partial<typeof LIMITS & { folder: string }> = {}) {
    this.folder = t.testdir()
    this.spool = new Spool(this.cells, { folder: this.folder, ...LIMITS, ...limits }, 0)
  }

  get memory(): number {
    return this.cells.get(SPOOL_BLOCK.at.memory)
  }

  get disk(): number {
    return this.cells.get(SPOOL_BLOCK.at.disk)
  }

  log(maxBytes = Number.POSITIVE_INFINITY, terms: Partial<SpoolTerms> = {}): SpoolLog {
    const log: SpoolLog = new SpoolLog(
      this.spool,
      {
        spoolRoom: () => {
          this.room += 1
        },
        spoolFull: () => {
          this.stopped += 1
        },
        spoolFailed: why => this.failures.push(why),
        spoolLost: () => {
          this.lost.push(log)
          log.close()
        },
      },
      { maxBytes, expected: undefined, kind: 'passing', ...terms },
    )
    return log
  }

  get files(): number {
    return this.cells.get(SPOOL_BLOCK.at.files)
  }

  /** Descriptors of this process that are files of the folder. */
  get descriptors(): string[] {
    return readdirSync('/proc/self/fd').filter(fd => linkOf(fd).startsWith(this.folder))
  }
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

/** Takes all that a log has, in the end also what comes while it reads. */
class Sink {
  readonly pieces: Buffer[] = []
  readonly reader: SpoolReader
  empty = 0
  unreadable = ''
  readonly #log: SpoolLog
  readonly #forgets: boolean

  constructor(log: SpoolLog, forgets: boolean) {
    this.#log = log
    this.#forgets = forgets
    this.reader = new SpoolReader(log, this)
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces)
  }

  spoolBytes(bytes: Uint8Array, start: number, end: number): number {
    this.pieces.push(Buffer.from(bytes.subarray(start, end)))
    return end
  }

  spoolTaken(): void {
    if (this.#forgets) this.#log.forget(this.reader.at)
  }

  spoolEmpty(): void {
    this.empty += 1
  }

  spoolUnreadable(why: string): void {
    this.unreadable = why
  }

  async readAll(): Promise<void> {
    const before = this.empty
    this.reader.resume()
    await until('the log to be read', () => this.empty > before)
  }
}

/** Appends as a client would send it: in pieces, and no further while the log is full. */
async function fill(bench: Bench, log: SpoolLog, bytes: Buffer, piece: () => number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + piece())
    const room = bench.room
    log.append(bytes, at, end)
    at = end
    if (log.full) await until('room', () => bench.room > room)
  }
}

t.test('a body that fits into memory touches no file', async t => {
  const bench = new Bench(t)
  const log = bench.log()
  const bytes = randomBytes(64 * KIB)
  await fill(bench, log, bytes, () => 1000)
  t.notOk(log.usedFile)
  t.notOk(log.full)
  const sink = new Sink(log, false)
  sink.reader.resume()
  t.equal(sink.empty, 1, 'read in the same turn')
  t.equal(hash(sink.bytes), hash(bytes))
  t.ok(
    bench.memory >= bytes.length && bench.memory <= bytes.length + LARGE_EXTENT,
    `counted as ${bench.memory}`,
  )
  log.close()
  t.equal(bench.memory, 0)
  t.equal(bench.disk, 0)
})

t.test('a body of nothing is in memory, and takes none', async t => {
  const bench = new Bench(t)
  const log = bench.log()
  t.match(log.inMemory(0), { start: 0, end: 0 })
  const sink = new Sink(log, false)
  sink.reader.resume()
  t.equal(sink.empty, 1)
  t.equal(bench.memory, 0)
})

t.test('a small body takes a small extent', async t => {
  const bench = new Bench(t)
  bench.log().append(randomBytes(12), 2, 12)
  t.equal(bench.memory, SMALL_EXTENT)
})

t.test('a larger one goes to a file that has no name, and can be read as often as one likes', async t => {
  const bench = new Bench(t)
  const log = bench.log()
  const bytes = randomBytes(3 * MIB)
  await fill(bench, log, bytes, () => 1 + Math.floor(Math.random() * 100_000))
  t.ok(log.usedFile)
  t.equal(log.end, bytes.length)
  for (const round of ['first', 'second']) {
    const sink = new Sink(log, false)
    await sink.readAll()
    t.equal(hash(sink.bytes), hash(bytes), round)
  }
  t.same(readdirSync(bench.folder), [], 'nothing to be seen')
  const [fd] = bench.descriptors
  t.equal(statSync(`/proc/self/fd/${fd}`).mode & 0o777, 0o600)
  t.equal(statSync(`/proc/self/fd/${fd}`).nlink, 0)
  t.ok(bench.memory <= 3 * 64 * KIB + 200_000, `counted as ${bench.memory}`)
  t.ok(bench.disk >= 2 * MIB && bench.disk <= bytes.length, `counted as ${bench.disk}`)
  log.close()
  t.same([bench.memory, bench.disk], [0, 0])
  await until('the descriptor to close', () => bench.descriptors.length === 0)
})

t.test('where the system knows no nameless files the name is gone as soon as it is there', async t => {
  const bench = new Bench(t)
  const fd = await new Promise<number>((done, failed) =>
    openAndUnlink(bench.folder, (error, fd) => (error === null ? done(fd) : failed(error))),
  )
  t.same(readdirSync(bench.folder), [])
  t.equal(statSync(`/proc/self/fd/${fd}`).mode & 0o777, 0o600)
  closeSync(fd)
})

t.test('what is read and forgotten makes room, whatever the order of reading and writing', async t => {
  const bench = new Bench(t, { memoryBytes: 4 * KIB })
  const log = bench.log(256 * KIB)
  const sink = new Sink(log, true)
  const bytes = randomBytes(2 * MIB)
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + Math.floor(Math.random() * 20_000))
    log.append(bytes, at, end)
    at = end
    if (log.full || Math.random() < 0.05) sink.reader.resume()
    if (log.full) await until('room', () => !log.full || sink.reader.resume())
    t.ok(bench.disk <= 256 * KIB, 'no more in the file than allowed') || t.bailout()
  }
  await until('all to be read', () => {
    sink.reader.resume()
    return sink.reader.at === bytes.length
  })
  t.equal(hash(sink.bytes), hash(bytes))
  await until('all to be given back', () => bench.disk + bench.memory === 0)
  await until('the descriptor to close', () => bench.descriptors.length === 0)
})

t.test('with all memory in use even a byte goes to a file', async t => {
  const bench = new Bench(t, { memoryTotalBytes: MIB })
  bench.spool.takeMemory(MIB)
  const log = bench.log(MIB, { kind: 'patient' })
  log.append(Buffer.from('x'), 0, 1)
  t.ok(log.usedFile)
  await until('it to be written', () => bench.memory === MIB)
  t.equal(bench.disk, 1)
  const sink = new Sink(log, false)
  await sink.readAll()
  t.equal(sink.bytes.toString(), 'x')
})

t.test(
  'the last of all memory is for bodies that are of no use in part; answers that nobody takes give way to others',
  async t => {
    const bench = new Bench(t, { memoryTotalBytes: MIB, diskBytes: 0 })
    const bytes = randomBytes(30 * KIB)
    const logs: SpoolLog[] = []
    while (bench.lost.length === 0) {
      const log = bench.log(MIB)
      logs.push(log)
      log.append(bytes, 0, bytes.length)
      if (logs.length > 100) t.bailout('memory has no end')
    }
    const lost = () => bench.lost.map(log => logs.indexOf(log))
    t.same(lost(), [0], 'the oldest, not the one that came')
    t.ok(bench.memory <= (MIB * 15) / 16 + 64 * KIB, `${bench.memory} bytes in memory`)
    logs[1]?.forget(KIB)
    bench.log(MIB).append(bytes, 0, bytes.length)
    t.same(lost(), [0, 2], 'the second has got on')
    const upload = bench.log(MIB, { kind: 'patient' })
    upload.append(bytes, 0, bytes.length)
    t.equal(upload.end, bytes.length)
    t.equal(bench.lost.length, 2)
  },
)

t.test('beyond the bytes of all files there is a failure with its reason, and nothing is lost', async t => {
  const bench = new Bench(t, { diskBytes: 100 * KIB })
  const bytes = randomBytes(150 * KIB)
  const log = bench.log()
  log.append(bytes, 0, 70 * KIB)
  await until('it to be written', () => bench.memory === 0)
  log.append(bytes, 70 * KIB, 150 * KIB)
  t.same(bench.failures, ['server.spool.disk is exhausted'])
  t.ok(log.full)
  const sink = new Sink(log, true)
  await sink.readAll()
  t.equal(hash(sink.bytes), hash(bytes))
  t.ok(bench.room > 0, 'room again, once it was read')
  log.close()
  await until('a write that runs to end', () => bench.memory + bench.disk === 0)
})

t.test('a folder that cannot be written is a failure with its reason, and nothing is lost', async t => {
  const bench = new Bench(t, { folder: '/nowhere/at/all' })
  const bytes = randomBytes(100 * KIB)
  const log = bench.log()
  log.append(bytes, 0, bytes.length)
  await until('the failure', () => bench.failures.length > 0)
  t.match(bench.failures, [/^server\.spool\.folder: ENOENT.*\/nowhere\/at\/all/])
  t.equal(bench.disk, 0)
  log.append(bytes, 0, bytes.length)
  t.ok(log.full, 'no further')
  const sink = new Sink(log, true)
  await sink.readAll()
  t.equal(hash(sink.bytes), hash(Buffer.concat([bytes, bytes])))
  log.close()
  t.equal(bench.memory, 0)
})

t.test('what no file could take gives way like the rest', async t => {
  const bench = new Bench(t, { folder: '/nowhere/at/all', memoryTotalBytes: MIB })
  const [first, second] = [bench.log(), bench.log()]
  first.append(Buffer.alloc(100 * KIB), 0, 100 * KIB)
  await until('the failure', () => bench.failures.length > 0)
  bench.spool.takeMemory(850 * KIB)
  second.append(Buffer.alloc(KIB), 0, KIB)
  t.ok(bench.lost.length === 1 && bench.lost[0] === first)
})

t.test('a file that has lost bytes is said to be so: never a shorter body', async t => {
  const bench = new Bench(t)
  const log = bench.log()
  await fill(bench, log, randomBytes(MIB), () => 50_000)
  await until('it to be written', () => {
    log.settle()
    return bench.memory < 128 * KIB
  })
  for (const fd of bench.descriptors) ftruncateSync(Number(fd), 100_000)
  const sink = new Sink(log, false)
  sink.reader.resume()
  await until('the failure', () => sink.unreadable !== '')
  t.match(sink.unreadable, /shorter than what was written/)
  t.equal(sink.empty, 0)
  log.close()
})

t.test('whatever runs when it is closed, all is given back and nobody is told', async t => {
  const bench = new Bench(t)
  for (let i = 0; i < 50; i += 1) {
    const log = bench.log()
    const sink = new Sink(log, i % 2 === 0)
    log.append(randomBytes(200_000), 0, 200_000)
    sink.reader.resume()
    if (i % 3 > 0) await new Promise(setImmediate)
    log.append(randomBytes(200_000), 0, 200_000)
    sink.reader.resume()
    if (i % 5 > 0) await new Promise(setImmediate)
    sink.reader.stop()
    log.close()
    log.close()
  }
  // What is being written is in use until it is written, whoever has gone.
  await until('all to be given back', () => bench.memory + bench.disk + bench.files === 0)
  await until('the descriptors to close', () => bench.descriptors.length === 0)
  t.same(bench.failures, [])
})

t.test('without a descriptor to spare nothing goes to a file, and nothing is lost', async t => {
  const bench = new Bench(t)
  let spare = 1
  const config = { folder: bench.folder, ...LIMITS }
  const spool = new Spool(bench.cells, config, 0, {
    takeForBody: () => bench.files < spare,
    give: () => {},
  })
  const failures: string[] = []
  const owner = {
    spoolRoom: () => {},
    spoolFull: () => {},
    spoolFailed: (why: string) => failures.push(why),
    spoolLost: () => {},
  }
  const bytes = randomBytes(100_000)
  const terms = { maxBytes: bytes.length * 10, expected: undefined, kind: 'passing' } as const
  const [first, second] = [0, 1].map(() => new SpoolLog(spool, owner, terms)) as [SpoolLog, SpoolLog]
  first.append(bytes, 0, bytes.length)
  second.append(bytes, 0, bytes.length)
  t.match(failures, [/limit of open files/])
  t.equal(bench.files, 1)
  await until('the block of the first to be written', () => bench.disk === bytes.length)
  t.ok(second.full)
  first.append(bytes, 0, bytes.length)
  t.equal(failures.length, 1, 'the first has its file already')
  spare = 2
  second.forget(10)
  t.equal(bench.files, 2, 'tried again when there may be room')
  const sink = new Sink(second, false)
  await until('the block to be written', () => bench.descriptors.length === 2)
  await sink.readAll()
  t.equal(hash(sink.bytes), hash(bytes))
  first.close()
  second.close()
  await until('all to be given back', () => bench.memory + bench.disk + bench.files === 0)
  await until('the descriptors to close', () => bench.descriptors.length === 0)
})

t.test('the bounds are those of the process: what one thread has, another cannot take', async t => {
  const cells = createCellMemory(2, SPOOL_BLOCK.size)
  const config = { folder: t.testdir(), memoryBytes: 10, memoryTotalBytes: 100, diskBytes: 100 }
  const [one, other] = [0, 1].map(thread => new Spool(new CellColumn(cells, thread), config, 0)) as [
    Spool,
    Spool,
  ]
  t.ok(one.takeDisk(60))
  t.notOk(other.takeDisk(50))
  t.ok(other.takeDisk(40))
  one.takeMemory(100)
  t.equal(other.memoryBytes, 0)
  one.giveMemory(1)
  t.equal(other.memoryBytes, 10)
  other.configure({ ...config, diskBytes: 200 })
  t.ok(other.takeDisk(100), 'after a reload')
})
