import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { STAND_IN_NAME } from '../../lib/acme/stand-in.ts'
import { freePorts } from '../bench/ports.ts'
import { AcmeFront } from '../support/acme-front.ts'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { missingPebble, Pebble } from '../support/pebble.ts'
import { ask, fieldOf } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import type { ThreadFault } from '../support/thread-fault.ts'
import { within } from '../support/until.ts'

// A whole Causeway whose certificates come from Pebble: `tls = "auto"` on a listener and `hosts` on its
// routes are all that a user writes.

const skip = missingPebble()
const NAME = 'www.site.test'

interface Edge {
  readonly pebble: Pebble
  readonly upstream: RecordingUpstream
  start(challenge: string, more?: string, options?: EdgeOptions): Promise<Running>
}

interface EdgeOptions {
  readonly directory?: string
  readonly preload?: string
}

/** A Pebble that tries challenges at the ports of the Causeway that comes. */
async function edge(t: Test): Promise<Edge> {
  const upstream = await RecordingUpstream.start(t)
  const [httpPort = 0, tlsPort = 0] = await freePorts(2)
  const pebble = await Pebble.start(t, { httpPort, tlsPort })
  pebble.names.set(NAME, '127.0.0.1')
  const folder = t.testdir()
  const start = (challenge: string, more = '', { directory, preload }: EdgeOptions = {}) => {
    const acme = `[acme]
directory = "${directory ?? pebble.directory}"
ca = "${pebble.ca}"
folder = "${folder}/acme"
challenges = ["${challenge}"]`
    const plain = `[listeners.plain]
address = "127.0.0.1:${httpPort}"
trusted_proxies = ["127.0.0.0/8"]`
    const config = configText({
      endpoints: [upstream.port],
      workers: 2,
      listener: 'tls = "auto"',
      route: `hosts = ["${NAME}"]`,
      upstream: 'health = { path = "/alive?full=1", interval = "1h" }',
      more: `${acme}\n${plain}\n${more}`,
    }).replace('address = "127.0.0.1:0"\ntls', `address = "127.0.0.1:${tlsPort}"\ntls`)
    return startCauseway(t, { config, ...(preload === undefined ? {} : { preload }) })
  }
  return { pebble, upstream, start }
}

const get = (path: string, host = NAME, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`

/**
 * Names of the certificate that a client is shown who trusts nobody but `ca`; throws where it is not good for
 * the name.
 */
async function shown(causeway: Running, ca: string | undefined, name = NAME): Promise<string> {
  const trust = ca === undefined ? { rejectUnauthorized: false } : { ca }
  const socket = connect({ host: '127.0.0.1', port: causeway.port(), servername: name, ...trust })
  const agreed = new Promise((done, failed) => socket.once('secureConnect', done).once('error', failed))
  await within('the handshake', agreed)
  const { subjectaltname = '' } = socket.getPeerCertificate()
  socket.destroy()
  return subjectaltname
}

const obtained = (causeway: Running, name = NAME) =>
  causeway.line(
    `the certificate of ${name}`,
    line => line['msg'] === 'certificate obtained' && line['name'] === name,
  )

for (const challenge of ['http-01', 'tls-alpn-01']) {
  t.test(
    `a site gets its certificate by ${challenge}, and again nothing after a restart`,
    { skip },
    async t => {
      const { pebble, upstream, start } = await edge(t)
      const first = await start(challenge)
      await obtained(first)
      const root = await pebble.root()
      t.equal(await shown(first, root), `DNS:${NAME}`)
      const expiry = (await first.metrics()).sum('causeway_certificate_expiry_timestamp_seconds', {
        name: NAME,
      })
      t.ok(expiry > Date.now() / 1000, 'in the metrics')
      t.equal((await ask(first.port('plain'), get('/page'))).status, 301)
      await assertClean(t, first, [upstream])
      const second = await start(challenge)
      t.equal(await shown(second, root), `DNS:${NAME}`, 'at once')
      t.equal(pebble.count(/Added order/), 1)
      await assertClean(t, second, [upstream])
    },
  )
}

t.test(
  'hosts with a certificate are sent to https, but for challenges, health paths and who is there already',
  { skip },
  async t => {
    const { upstream, start } = await edge(t)
    const more = `
[routes.open]
hosts = ["${NAME}"]
path = "/open/"
redirect_https = false
upstream = "app"

[routes.lost]
hosts = ["lost.site.test"]
upstream = "app"

[routes.any]
upstream = "app"`
    const causeway = await start('http-01', more)
    await obtained(causeway)
    const plain = causeway.port('plain')
    const status = async (...request: Parameters<typeof get>) => (await ask(plain, get(...request))).status
    const sent = await ask(plain, get('/a?b=c'))
    t.equal(sent.status, 301)
    t.equal(fieldOf(sent, 'location'), `https://${NAME}/a?b=c`)
    const post = await ask(plain, get('/a').replace('GET', 'POST'))
    t.equal(post.status, 308, 'the method is kept')
    t.equal(await status('/alive'), 200, 'where the app is asked for its health')
    t.equal(await status('/alive/more'), 301)
    t.equal(
      await status('/.well-known/acme-challenge/of-the-app'),
      200,
      'another one asks for certificates, too',
    )
    t.equal(await status('/a', NAME, 'X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n'), 200)
    t.equal(await status('/open/a'), 200, 'where it is said that they are not')
    t.equal(await status('/a', 'lost.site.test'), 200, 'it has no certificate yet')
    t.equal(await status('/a', 'other.test'), 200)
    const { certificate_problems: problems } = (await (
      await fetch(`${causeway.adminUrl}/status`)
    ).json()) as Record<string, unknown>
    t.match(problems, [/^lost\.site\.test: certificate not obtained: http-01: .*, next attempt at 20/])
    await assertClean(t, causeway, [upstream])
  },
)

t.test('without any certificate yet, handshakes complete with one that nobody trusts', { skip }, async t => {
  const { pebble, upstream, start } = await edge(t)
  pebble.names.remove(NAME)
  const causeway = await start('http-01')
  await causeway.line('the failure', line => line['msg'] === 'certificate not obtained')
  t.equal(await shown(causeway, undefined), `DNS:${STAND_IN_NAME}`)
  await t.rejects(shown(causeway, await pebble.root()), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  const metrics = await (await fetch(`${causeway.adminUrl}/metrics`)).text()
  t.notMatch(metrics, STAND_IN_NAME, 'it counts for nothing')
  t.match(metrics, /^causeway_certificate_problems 1$/m, 'but that there is no other does')
  await assertClean(t, causeway, [upstream])
})

t.test(
  'no challenge is tried before every data thread can answer it, however long that takes',
  { skip },
  async t => {
    const { pebble, start } = await edge(t)
    const front = await AcmeFront.start(t, pebble)
    const started = Promise.withResolvers<Running>()
    const restarts: number[] = []
    let blocked = false
    front.before = async path => {
      const causeway = await started.promise
      if (path.startsWith('/order-plz') && !blocked) {
        blocked = true
        causeway.send({ thread: 1, fault: 'block' } satisfies ThreadFault)
        await causeway.told()
      }
      if (path.startsWith('/chalZ/'))
        restarts.push((await causeway.metrics()).sum('causeway_worker_restarts_total', { reason: 'stuck' }))
    }
    const options = { directory: front.directory, preload: './thread-fault.ts' }
    const causeway = await start('http-01', '', options)
    started.resolve(causeway)
    await causeway.line('the certificate', ({ msg }) => msg === 'certificate obtained', 60_000)
    t.same([...new Set(restarts)], [1], 'the blocked thread has been replaced before')
    t.equal(await causeway.stop(), 0)
  },
)
