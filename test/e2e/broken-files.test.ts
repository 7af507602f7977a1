import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { BROKEN_FORMS, mend } from '../support/broken-file.ts'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { ask, get } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until, within } from '../support/until.ts'

// Every file that is read while Causeway runs, in every form that a renewal, a full disk, a deploy or a slip
// may leave it in. None of them may end or hang a thread, or change what is served: what was good stays in
// force.

const NAME = 'site.test'
const folder = t.testdir({ ca: {}, other: {}, root: { 'app.css': 'p{}', 'staticfiles.json': '{}' } })
const at = (name: string) => join(folder, name)
const authority = new TestAuthority(at('ca'))
const site = authority.issue({ names: [NAME] })
const client = authority.issue({ names: ['client.test'] })
const app = await RecordingUpstream.start(t)

const MANIFEST = JSON.stringify({ version: '1.1', paths: { 'app.css': 'app.0123456789ab.css' } })
const CHAIN = site.certificate + authority.certificate
const TWO_CAS = authority.certificate + new TestAuthority(at('other')).certificate

/** Looked at again and again: what each held when all was well. */
const WATCHED: Readonly<Record<string, string>> = {
  'site.pem': CHAIN,
  'site.key': site.key,
  'clients.pem': TWO_CAS,
  'auto-clients.pem': TWO_CAS,
  endpoints: `127.0.0.1:${app.port}\n# and no other, ${'now or later '.repeat(20)}\n`,
  'root/staticfiles.json': MANIFEST,
}
/** Read at a reload. */
const RELOADED: Readonly<Record<string, string>> = {
  'upstream-ca.pem': TWO_CAS,
  'upstream.pem': client.certificate + authority.certificate,
  'upstream.key': client.key,
  'acme-ca.pem': TWO_CAS,
  'error.html': '<h1>Sorry</h1>\n',
  'maintenance.html': '<h1>Later</h1>\n',
  secret: 'name = value\n',
}
/** What is a page, a secret or a list of nothing, however it looks. */
const NO_FAULT: Readonly<Record<string, readonly string[]>> = {
  'error.html': ['empty', 'cut short', 'glued', 'binary'],
  'maintenance.html': ['empty', 'cut short', 'glued', 'binary'],
  secret: ['empty', 'cut short', 'glued'],
}

for (const [name, good] of Object.entries({ ...WATCHED, ...RELOADED })) mend(at(name), good)

const config = configText({
  endpoints: [app.port],
  workers: 2,
  listener: `tls = { certificate = "${at('site.pem')}", key = "${at('site.key')}" }
mtls = { ca = "${at('clients.pem')}", mode = "optional" }`,
  route: `error_pages = { 5xx = "${at('error.html')}" }
maintenance = { page = "${at('maintenance.html')}", bypass = ["127.0.0.0/8"] }`,
  more: `
[listeners.plain]
address = "127.0.0.1:0"
[listeners.ordered]
address = "127.0.0.1:0"
tls = "auto"
mtls = { ca = "${at('auto-clients.pem')}" }
[acme]
directory = "https://127.0.0.1:1/dir"
folder = "${at('acme')}"
ca = "${at('acme-ca.pem')}"
[routes.named]
hosts = ["named.test"]
upstream = "app"
[routes.listed]
path = "/listed/"
upstream = "listed"
[upstreams.listed]
endpoints_file = "${at('endpoints')}"
[routes.files]
path = "/files/"
static = { root = "${at('root')}" }
[routes.secured]
path = "/secured/"
upstream = "secured"
[upstreams.secured]
endpoints = ["https://127.0.0.1:1"]
tls = { ca = "${at('upstream-ca.pem')}", certificate = "${at('upstream.pem')}", key = "${at('upstream.key')}" }
health = { interval = "1h", headers = { X-Probe = "\${file:${at('secret')}}" } }
`,
})
const causeway = await startCauseway(t, { config })

const PATHS = ['/', '/files/app.css', '/listed/']

/** A page, a file and a handshake, each on a connection of its own, of either data thread. */
async function assertServing(t: Test, when: string, paths = PATHS): Promise<void> {
  const answers = await Promise.all(
    [...paths, ...paths].map(path => within(`${path} ${when}`, ask(causeway.port('plain'), get(path)))),
  )
  const wrong = answers.filter(({ status }) => status !== 200)
  t.same(wrong, [], `served ${when}`)
  for (let i = 0; i < 4; i += 1) await handshake(when)
}

async function handshake(when: string): Promise<void> {
  const socket = connect({
    host: '127.0.0.1',
    port: causeway.port(),
    ca: authority.certificate,
    servername: NAME,
  })
  await within(
    `a handshake ${when}`,
    new Promise((done, failed) => socket.once('secureConnect', done).once('error', failed)),
  )
  socket.destroy()
}

/** Sentences about certificates, but for those that cannot be ordered here. */
async function problems(): Promise<string[]> {
  const status = (await (await fetch(`${causeway.adminUrl}/status`)).json()) as {
    readonly certificate_problems: readonly string[]
  }
  return status.certificate_problems.filter(text => text.startsWith('listener'))
}

for (const { name, put } of BROKEN_FORMS) {
  t.test(
    `files that are watched, ${name}: what they held stays in force, and status tells of it`,
    async t => {
      for (const [file, good] of Object.entries(WATCHED)) put(at(file), good)
      await until('both listeners to be reported', async () => (await problems()).length === 2)
      t.match(await problems(), [
        /^listener "web": \S+(?:site|clients)\./,
        /^listener "ordered": \S+auto-clients\.pem /,
      ])
      t.ok((await causeway.metrics()).sum('causeway_certificate_problems') >= 2)
      // A file of endpoints that has nothing in it says that there are none.
      await assertServing(t, `with files ${name}`, name === 'empty' ? PATHS.slice(0, -1) : PATHS)
      for (const [file, good] of Object.entries(WATCHED)) mend(at(file), good)
      await until('nothing to be wrong', async () => (await problems()).length === 0)
      await assertServing(t, 'again')
    },
  )

  t.test(`files that a reload reads, ${name}: it is refused, and what ran goes on`, async t => {
    for (const [file, good] of Object.entries(RELOADED)) {
      put(at(file), good)
      const expected = NO_FAULT[file]?.includes(name) ? 'success' : 'failure'
      t.equal(await causeway.reload(config), expected, file)
      mend(at(file), good)
    }
    await assertServing(t, `after reloads with files ${name}`)
  })

  t.test(`a file of the configuration, ${name}: the reload is refused`, async t => {
    const more = '[routes.more]\npath = "/more/"\nupstream = "app"\n'
    t.equal(await causeway.reload({ 'a.toml': config, 'b.toml': more }), 'success')
    const broken = { 'a.toml': config, 'b.toml': { put: (path: string) => put(path, more) } }
    t.equal(await causeway.reload(broken), ['empty', 'gone'].includes(name) ? 'success' : 'failure')
    await assertServing(t, `beside a configuration that is ${name}`)
  })
}

t.test('files that are written while they are read, again and again', async t => {
  const all = Object.entries({ ...WATCHED, ...RELOADED })
  let writing = true
  const writer = (async () => {
    for (let part = 0; writing; part = (part + 0.13) % 1) {
      for (const [file, good] of all) writeFileSync(at(file), good.slice(0, Math.ceil(good.length * part)))
      await new Promise(setImmediate)
    }
  })()
  for (let i = 0; i < 20; i += 1) await causeway.reload(config)
  await assertServing(t, 'beside a writer')
  writing = false
  await writer
  for (const [file, good] of all) mend(at(file), good)
  await until('nothing to be wrong', async () => (await problems()).length === 0)
  t.equal(await causeway.reload(config), 'success')
})

t.test('no thread was replaced, and nothing was thrown past everybody', async t => {
  t.equal((await causeway.metrics()).sum('causeway_worker_restarts_total'), 0)
  t.ok(readFileSync(`/proc/${causeway.pid}/stat`, 'latin1'))
  await assertClean(t, causeway, [app])
})
