import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import type { StatusDocument } from '../../lib/server/admin/status.ts'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { type MadeCertificate, TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until, within } from '../support/until.ts'

const folder = t.testdir({ certs: {} })
const certs = join(folder, 'certs')
const ca = new TestAuthority(folder)
const first = ca.issue({ names: ['site.test', 'first.test'] })
const second = ca.issue({ names: ['site.test', 'second.test'] })

/** As a careful tool does it: written beside, then renamed. */
function put({ certificateFile, keyFile }: MadeCertificate): void {
  copyFileSync(keyFile, join(certs, 'new.key'))
  copyFileSync(certificateFile, join(certs, 'new.pem'))
  renameSync(join(certs, 'new.key'), join(certs, 'site.key'))
  renameSync(join(certs, 'new.pem'), join(certs, 'site.pem'))
}

/**
 * As Kubernetes mounts a secret: files are links through `..data`, which is a link to a folder of its own.
 */
function mount(name: string, { certificateFile, keyFile }: MadeCertificate): void {
  const of = (file: string) => join(certs, name, file)
  mkdirSync(join(certs, name))
  copyFileSync(certificateFile, of('tls.crt'))
  copyFileSync(keyFile, of('tls.key'))
  symlinkSync(name, join(certs, '..data_tmp'))
  renameSync(join(certs, '..data_tmp'), join(certs, '..data'))
}

put(first)
mount('..2026_1', first)
symlinkSync('..data/tls.crt', join(certs, 'tls.crt'))
symlinkSync('..data/tls.key', join(certs, 'tls.key'))

const app = await RecordingUpstream.start(t)
const listener = (pem: string, key: string) =>
  `tls = { certificate = "${join(certs, pem)}", key = "${join(certs, key)}" }`
const config = configText({
  endpoints: [app.port],
  workers: 2,
  listener: listener('site.pem', 'site.key'),
  more: `[listeners.mounted]
address = "127.0.0.1:0"
${listener('tls.crt', 'tls.key')}
[listeners.doubled]
address = "127.0.0.1:0"
tls = [${[second, first].map(({ certificateFile, keyFile }) => `{ certificate = "${certificateFile}", key = "${keyFile}" }`).join(', ')}]`,
})
const causeway = await startCauseway(t, { config })

/** Alternative names of the certificate that is shown now. */
async function shown(listener = 'web', running = causeway): Promise<string> {
  const socket = connect({
    host: '127.0.0.1',
    port: running.port(listener),
    ca: ca.certificate,
    servername: 'site.test',
  })
  await within(
    'the handshake',
    new Promise((done, failed) => socket.once('secureConnect', done).once('error', failed)),
  )
  const { subjectaltname = '' } = socket.getPeerCertificate()
  socket.end().resume()
  return subjectaltname
}

async function status() {
  return (await (await fetch(`${causeway.adminUrl}/status`)).json()) as {
    readonly certificate_problems: readonly string[]
  }
}

t.test('a certificate that is replaced by rename is shown from then on; open connections stay', async t => {
  t.match(await shown(), /first\.test/)
  const client = await RawClient.connectTls(causeway.port(), { ca: ca.certificate, servername: 'site.test' })
  put(second)
  await until('the second certificate in both threads', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => shown()))
    return all.every(names => names.includes('second.test'))
  })
  client.send(get('/still'))
  t.equal((await client.response()).status, 200)
  client.destroy()
  await causeway.line('the change', ({ msg }) => msg === 'certificate taken')
})

t.test('of two certificates of one kind for one name the first is shown', async t => {
  for (let i = 0; i < 8; i += 1) t.match(await shown('doubled'), /second\.test/)
})

t.test('a secret that Kubernetes swaps under its links is noticed', async t => {
  t.match(await shown('mounted'), /first\.test/)
  mount('..2026_2', second)
  rmSync(join(certs, '..2026_1'), { recursive: true })
  await until('the second certificate', async () => (await shown('mounted')).includes('second.test'))
  t.pass()
})

t.test('files that are not good keep the certificate before, and say so once', async t => {
  for (const [what, spoil] of [
    ['not the key of the certificate', () => copyFileSync(first.keyFile, join(certs, 'site.key'))],
    ['contains no certificate', () => writeFileSync(join(certs, 'site.pem'), 'nonsense')],
    ['cannot be read: there is no such file', () => rmSync(join(certs, 'site.pem'))],
  ] as const) {
    spoil()
    await causeway.line(
      what,
      line =>
        line['msg'] === 'certificate not taken: the one before stays in force' &&
        String(line['problem']).includes(what),
    )
    t.match(await shown(), /second\.test/)
    t.match((await status()).certificate_problems[0], new RegExp(`^listener "web": .*${what}`))
    t.equal((await causeway.metrics()).sum('causeway_certificate_problems'), 1)
  }
  put(first)
  await until('the first certificate', async () => (await shown()).includes('first.test'))
  t.same((await status()).certificate_problems, [])
  t.equal((await causeway.metrics()).sum('causeway_certificate_problems'), 0)
})

t.test('a reload with files that are not good is refused, and changes nothing', async t => {
  rmSync(join(certs, 'site.key'))
  t.equal(await causeway.reload(config), 'failure')
  t.match(await shown(), /first\.test/)
  put(first)
  t.equal(await causeway.reload(config), 'success')
  t.match(await shown(), /first\.test/)
})

t.test('a listener turns to TLS, and back, by a reload', async t => {
  const plain = configText({ endpoints: [app.port], workers: 2 })
  t.equal(await causeway.reload(plain), 'success')
  const client = await RawClient.connect(causeway.port())
  client.send(get('/plain-again'))
  t.equal((await client.response()).status, 200)
  t.equal(await causeway.reload(config), 'success')
  t.match(await shown(), /first\.test/)
  client.send(get('/open-since'))
  t.equal((await client.response()).status, 200, 'a connection that is open goes on as it was')
  client.destroy()
})

t.test('certificates are taken although there is no place for the endpoints that a file has now', async t => {
  put(first)
  const file = join(folder, 'endpoints')
  writeFileSync(file, `127.0.0.1:${app.port}\n`)
  const crowded = await startCauseway(t, {
    config: configText({
      endpoints: [app.port],
      listener: listener('site.pem', 'site.key'),
      more: `[upstreams.many]\nendpoints_file = "${file}"\n[routes.many]\npath = "/many/"\nupstream = "many"`,
    }),
  })
  const many = Array.from({ length: 5000 }, (_, n) => `127.1.${n >> 8}.${n & 255}:8000\n`)
  writeFileSync(`${file}.new`, many.join(''))
  renameSync(`${file}.new`, file)
  await crowded.line('the want of places', ({ msg }) => msg === 'endpoints not taken')
  const problem = async () =>
    ((await (await fetch(`${crowded.adminUrl}/status`)).json()) as StatusDocument).endpoint_problem
  t.match(await problem(), /^new endpoints rejected, the previous ones stay in use: no .* left, at many/)
  t.match(await shown('web', crowded), /first\.test/)
  put(second)
  await until('the other certificate', async () => /second\.test/.test(await shown('web', crowded)))
  t.equal(crowded.lines.filter(({ msg }) => msg === 'endpoints not taken').length, 1, 'said once')
  const options = { ca: ca.certificate, servername: 'site.test' }
  const client = await RawClient.connectTls(crowded.port(), options)
  client.send(get('/many/'))
  t.equal((await client.response()).status, 200, 'the endpoints before go on')
  client.destroy()
  writeFileSync(`${file}.new`, `127.0.0.1:${app.port}\n`)
  renameSync(`${file}.new`, file)
  await crowded.line('that it is over', ({ msg }) => msg === 'endpoints taken again')
  t.equal(await problem(), null)
  await assertClean(t, crowded)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
