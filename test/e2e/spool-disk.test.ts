import { createHash, randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { StatusDocument } from '../../lib/server/admin/status.ts'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, post, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { noSmallDisk, SmallDisk } from '../support/small-disk.ts'
import { until } from '../support/until.ts'

// The disk of server.spool.folder fills up, or turns read-only, while bodies lie there and others come.

const MIB = 1024 * 1024
const DISK_MIB = 24
const skip = noSmallDisk()
const big = randomBytes(6 * MIB)
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

class World {
  readonly disk: SmallDisk
  readonly app: RecordingUpstream
  readonly running: Running
  readonly #clients: RawClient[] = []
  #occupied: UpstreamLine | undefined

  private constructor(disk: SmallDisk, app: RecordingUpstream, running: Running) {
    this.disk = disk
    this.app = app
    this.running = running
  }

  static async start(t: Test): Promise<World> {
    const disk = SmallDisk.mount(t, DISK_MIB)
    const app = await RecordingUpstream.start(t)
    const config = configText({
      endpoints: [app.port],
      upstream: 'max_inflight = 1\nqueue = { timeout = "1h" }',
      listener: 'limits = { body = "20MiB" }',
      more: `[server.spool]\nfolder = "${disk.folder}"`,
    })
    return new World(disk, app, await startCauseway(t, { config }))
  }

  /** The first `size` bytes of an upload of `big`. */
  async begin(path: string, size = big.length): Promise<RawClient> {
    const client = await RawClient.connect(this.running.port())
    this.#clients.push(client)
    client.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${big.length}\r\n\r\n`)
    client.send(big.subarray(0, size))
    return client
  }

  /** The app is busy with another request until `release`. */
  async occupy(): Promise<void> {
    this.app.on('/occupied', line => {
      this.#occupied = line
    })
    const client = await RawClient.connect(this.running.port())
    this.#clients.push(client)
    client.send(get('/occupied'))
    await until('it at the app', () => this.#occupied)
  }

  release(): void {
    this.#occupied?.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  }

  async untilInFiles(bytes: number): Promise<void> {
    await this.running.metric('causeway_spool_file_bytes', {}, value => value >= bytes)
  }

  /** It is refused, with this reason. */
  async assertRefused(t: Test, client: RawClient, path: string, detail: RegExp): Promise<void> {
    t.equal((await client.response('POST')).status, 503, path)
    t.match(await this.running.accessOf(path), { end: 'spool_failed', detail })
    t.equal(this.app.seen(path).length, 0)
  }

  async assertServed(t: Test, client: RawClient, path: string): Promise<void> {
    t.equal((await client.response('POST')).status, 200, path)
    t.equal(hash(this.app.seen(path)[0]?.body ?? Buffer.alloc(0)), hash(big), `${path}: whole`)
  }

  async problem(): Promise<string | null> {
    const status = (await (await fetch(`${this.running.adminUrl}/status`)).json()) as StatusDocument
    return status.spool.problem
  }

  async assertDone(t: Test): Promise<void> {
    await until('no problem', async () => (await this.problem()) === null)
    for (const client of this.#clients) client.destroy()
    for (const name of ['causeway_spool_memory_bytes', 'causeway_spool_file_bytes', 'causeway_spool_files'])
      await this.running.metric(name, {}, value => value === 0)
    await assertClean(t, this.running, [this.app])
  }
}

t.test(
  'a disk that fills up: what is here whole is served, what does not fit gets 503',
  { skip },
  async t => {
    const world = await World.start(t)
    const { disk, running } = world
    await world.occupy()
    const whole = await world.begin('/whole')
    const half = await world.begin('/half', 3 * MIB)
    await world.untilInFiles(8 * MIB)
    disk.fill()
    const late = await world.begin('/late')
    await world.assertRefused(t, late, '/late', /^server\.spool\.folder: ENOSPC/)
    half.send(big.subarray(3 * MIB))
    await world.assertRefused(t, half, '/half', /^server\.spool\.folder: ENOSPC/)
    // What was refused has given back its room.
    disk.fill()
    await running.line('who looks after it to say so', ({ problem }) => problem === 'has no space left')
    t.match(await world.problem(), /has no space left$/)
    world.release()
    await world.assertServed(t, whole, '/whole')
    t.equal((await ask(running.port(), post('/small', 'fits'))).status, 200)
    disk.empty()
    const again = await world.begin('/again')
    await world.assertServed(t, again, '/again')
    await world.assertDone(t)
  },
)

t.test('on a full disk a slow client gets all of its answer, and the app waits for it', { skip }, async t => {
  const world = await World.start(t)
  const { disk, running, app } = world
  disk.fill()
  const large = randomBytes(12 * MIB).toString('hex')
  app.on('/large', ok(large))
  const client = await RawClient.connect(running.port())
  client.socket.pause()
  client.send(get('/large'))
  await running.metric('causeway_spool_bodies_total', { body: 'response', outcome: 'full' }, n => n === 1)
  client.socket.resume()
  t.equal(hash((await client.response()).body), hash(Buffer.from(large)))
  t.match(await running.accessOf('/large'), { end: 'ok', detail: /ENOSPC/ })
  client.destroy()
  disk.empty()
  await world.assertDone(t)
})

t.test('a folder that turns read-only: files that are open go on, others get 503', { skip }, async t => {
  const world = await World.start(t)
  const { disk, running } = world
  await world.occupy()
  const whole = await world.begin('/whole')
  const half = await world.begin('/half', 3 * MIB)
  await world.untilInFiles(8 * MIB)
  disk.makeReadOnly()
  const late = await world.begin('/late')
  await world.assertRefused(t, late, '/late', /^server\.spool\.folder: EROFS/)
  await running.line('who looks after it to say so', ({ problem }) => problem === 'is read-only')
  t.match(await world.problem(), /is read-only$/)
  half.send(big.subarray(3 * MIB))
  world.release()
  await world.assertServed(t, whole, '/whole')
  await world.assertServed(t, half, '/half')
  t.equal((await ask(running.port(), post('/small', 'fits'))).status, 200)
  disk.makeWritable()
  const again = await world.begin('/again')
  await world.assertServed(t, again, '/again')
  await world.assertDone(t)
})
