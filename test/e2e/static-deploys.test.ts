import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// What a client of a Django site sees of deploys: collectstatic runs while it is served, and pages of the
// release before ask for its files.

const FILES = 40
const FOR_EVER = 'public, max-age=31536000, immutable'
const RELEASES = ['aaaaaaaaaaaa', 'bbbbbbbbbbbb', 'cccccccccccc'] as const

const nameOf = (release: string, file: number) => `app/${file}.${release}.css`
/** Some fit into one buffer, some do not. */
const textOf = (release: string, file: number) =>
  `/* ${release} ${file} */ `.repeat(file % 5 === 0 ? 5000 : 50)

/** As `collectstatic --clear` works: what is there goes first, the manifest comes last. */
function collect(root: string, release: string): void {
  for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true })
  const paths: Record<string, string> = {}
  for (let file = 0; file < FILES; file += 1) {
    mkdirSync(dirname(join(root, nameOf(release, file))), { recursive: true })
    for (const name of [`app/${file}.css`, nameOf(release, file)]) {
      writeFileSync(join(root, name), textOf(release, file))
    }
    paths[`app/${file}.css`] = nameOf(release, file)
  }
  writeFileSync(join(root, 'staticfiles.json'), JSON.stringify({ paths, version: '1.0' }))
}

const config = (port: number, root: string, words = '') =>
  configText({
    endpoints: [port],
    more: `
[routes.static]
path = "/static/"
static = { root = ${JSON.stringify(root)}${words} }`,
  })

/** Waits for the line that says that a manifest was taken and its files are held. */
const taken = (causeway: Running, leaving: number) =>
  causeway.line(
    `a manifest with ${leaving} old names`,
    line => line['msg'] === 'static manifest taken' && line['held_files'] === FILES + leaving,
  )

/** Clients that ask for files of a release until they are told to stop; what was not as it should be. */
class Readers {
  asked = 0
  readonly wrong: string[] = []
  /** Releases that pages may name now. */
  releases: readonly string[] = []
  #stopped = false
  readonly #running: Promise<void>[] = []

  constructor(port: number, count: number) {
    for (let i = 0; i < count; i += 1) this.#running.push(this.#read(port, i))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#running)
  }

  async #read(port: number, seed: number): Promise<void> {
    const client = await RawClient.connect(port)
    for (let round = seed; !this.#stopped; round += 7) {
      const release = this.releases[round % this.releases.length]
      if (release === undefined) await turn()
      else await this.#ask(client, release, round % FILES)
    }
    client.destroy()
  }

  async #ask(client: RawClient, release: string, file: number): Promise<void> {
    client.send(get(`/static/${nameOf(release, file)}`))
    const answer = await client.response()
    this.asked += 1
    const right = answer.body.toString() === textOf(release, file)
    if (answer.status !== 200 || !right) this.wrong.push(`${release} ${file}: ${answer.status}`)
  }
}

t.test('rolling deploys under load: no page misses a file, old or new', async t => {
  const root = t.testdir({})
  const [first, second, third] = RELEASES
  collect(root, first)
  const upstream = await RecordingUpstream.start(t)
  const causeway = await startCauseway(t, { config: config(upstream.port, root) })
  await taken(causeway, 0)
  const readers = new Readers(causeway.port(), 6)
  readers.releases = [first]
  const more = async () => {
    const before = readers.asked
    await until('more answers', () => readers.asked > before + 200)
  }
  await more()
  for (const [release, old] of [
    [second, [first]],
    [third, [first, second]],
  ] as const) {
    collect(root, release)
    // New pages come only now; those of before stay open in browsers.
    readers.releases = [...old, release]
    await more()
    await taken(causeway, FILES * old.length)
    await more()
  }
  await readers.stop()
  await causeway.metric('causeway_static_names', { state: 'current' }, names => names === FILES)
  await causeway.metric('causeway_static_names', { state: 'leaving' }, names => names === 2 * FILES)
  await causeway.metric('causeway_static_held_files', {}, files => files === 3 * FILES)
  const counted = await causeway.metrics()
  t.ok(counted.sum('causeway_static_held_served_total') > 0)
  t.ok(counted.sum('causeway_static_held_bytes') > 3 * FILES * 1000)
  t.ok(counted.sum('causeway_static_cache_bytes') > 0)
  t.equal(counted.sum('causeway_static_manifest_errors_total'), 0)
  t.same(readers.wrong.slice(0, 5), [])
  t.ok(readers.asked > 1000, `${readers.asked} requests`)
  for (const release of RELEASES) {
    // What was read before its manifest was is looked at again within a second.
    await until(`${release} to be for ever`, async () => {
      const answer = await ask(causeway.port(), get(`/static/${nameOf(release, 1)}`))
      return fieldOf(answer, 'cache-control') === FOR_EVER
    })
  }
  const plain = await ask(causeway.port(), get('/static/app/1.css'))
  t.equal(fieldOf(plain, 'cache-control'), 'no-cache')
  t.equal((await ask(causeway.port(), get('/static/staticfiles.json'))).status, 404)
  t.equal(upstream.seen('/static/staticfiles.json').length, 0)

  writeFileSync(join(root, 'staticfiles.json'), '{"paths": {"app/0.css": "app/0.')
  const warning = await causeway.line(
    'a broken manifest',
    line => line['msg'] === 'static manifest not taken',
  )
  t.equal((await causeway.metrics()).sum('causeway_static_manifest_errors_total'), 1)
  t.match(warning, { level: 'warn', file: join(root, 'staticfiles.json'), problem: 'it is not JSON' })
  t.equal(fieldOf(await ask(causeway.port(), get(`/static/${nameOf(third, 1)}`)), 'cache-control'), FOR_EVER)

  t.equal(await causeway.reload(config(upstream.port, root, ', cache_control = "max-age=60"')), 'success')
  const reloaded = await ask(causeway.port(), get(`/static/${nameOf(first, 5)}`))
  t.equal(reloaded.body.toString(), textOf(first, 5), 'a reload forgets no old file')
  t.equal(fieldOf(await ask(causeway.port(), get('/static/app/1.css')), 'cache-control'), 'max-age=60')
  t.equal(causeway.lines.filter(line => line['msg'] === 'static manifest not taken').length, 1, 'told once')
  await assertClean(t, causeway, [upstream])
})

t.test('keep = "0s": what is removed is gone', async t => {
  const root = t.testdir({})
  collect(root, RELEASES[0])
  const upstream = await RecordingUpstream.start(t)
  const causeway = await startCauseway(t, { config: config(upstream.port, root, ', keep = "0s"') })
  const path = `/static/${nameOf(RELEASES[0], 1)}`
  t.equal((await ask(causeway.port(), get(path))).status, 200)
  collect(root, RELEASES[1])
  await until('the old file to go', async () => (await ask(causeway.port(), get(path))).status === 404)
  t.equal((await ask(causeway.port(), get(`/static/${nameOf(RELEASES[1], 1)}`))).status, 200)
  await assertClean(t, causeway, [upstream])
})

t.test('compressed on the wire, in every data thread; internal routes are 404', async t => {
  const body = 'a line of style { color: red }\n'.repeat(20_000)
  const root = t.testdir({ 'a.css': body, 'b.css': body.slice(0, 5000) })
  const upstream = await RecordingUpstream.start(t)
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: [upstream.port],
      workers: 2,
      more: `
[routes.static]
path = "/static/"
static = { root = ${JSON.stringify(root)} }

[routes.plain]
path = "/plain/"
static = { root = ${JSON.stringify(root)}, compress = false }

[routes.protected]
path = "/protected/"
static = { root = ${JSON.stringify(root)}, internal = true }`,
    }),
  })
  for (const [coding, plain] of [
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
    ['gzip', gunzipSync],
  ] as const) {
    for (const [name, text] of [
      ['a.css', body],
      ['b.css', body.slice(0, 5000)],
    ] as const) {
      const request = get(`/static/${name}`, `Accept-Encoding: ${coding}\r\n`)
      await until(`${name} in ${coding} four times in a row`, async () => {
        for (let i = 0; i < 4; i += 1) {
          const answer = await ask(causeway.port(), request)
          const isCoded = fieldOf(answer, 'content-encoding') === coding
          const got = isCoded ? plain(answer.body) : answer.body
          if (got.toString() !== text) throw new Error(`${name} in ${coding} is not the file`)
          if (fieldOf(answer, 'vary') !== 'Accept-Encoding') throw new Error(`${name}: no Vary`)
          if (!isCoded) return false
        }
        return true
      })
    }
    const plainAnswer = await ask(causeway.port(), get('/plain/a.css', `Accept-Encoding: ${coding}\r\n`))
    t.equal(fieldOf(plainAnswer, 'content-encoding'), undefined)
    t.equal(fieldOf(plainAnswer, 'vary'), undefined)
  }
  for (const coding of ['br', 'zstd', 'gzip']) {
    const made = (await causeway.metrics()).sum('causeway_static_compressions_total', {
      coding,
      result: 'made',
    })
    t.ok(made >= 2 && made <= 4, `${coding}: two files, once in each thread that was asked: ${made}`)
  }
  for (const method of ['GET', 'HEAD', 'POST']) {
    const request = `${method} /protected/a.css HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`
    t.equal((await ask(causeway.port(), request)).status, 404, method)
  }
  t.equal(upstream.seen('/protected/a.css').length, 0)
  await assertClean(t, causeway, [upstream])
})
