import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { ask, get } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { startTlsFront } from '../support/tls-front.ts'
import { until } from '../support/until.ts'
import { echo, openWebSocket } from '../support/websocket-app.ts'

const folder = t.testdir({ one: {}, other: {} })
const authority = new TestAuthority(join(folder, 'one'))
const other = new TestAuthority(join(folder, 'other'), 'Another authority')
const { certificate: cert, key } = authority.issue({ names: ['localhost'] })
const app = await RecordingUpstream.start(t)

t.test('an https endpoint is verified by the host of its address', async t => {
  const port = await startTlsFront(t, app.port, { cert, key })
  const upstream = `tls = { ca = "${authority.file}" }`
  const config = configText({ endpoints: [`https://localhost:${port}`], upstream })
  const causeway = await startCauseway(t, { config })
  const answer = await ask(causeway.port(), get('/secure'))
  t.equal(answer.status, 200)
  t.equal(app.seen('/secure')[0]?.field('host'), 'example.test')
  await assertClean(t, causeway, [app])
})

t.test(
  'a certificate that is not good: the log and the status say why; a changed file counts from the reload on',
  async t => {
    const port = await startTlsFront(t, app.port, { cert, key })
    const ca = join(folder, 'ca.pem')
    copyFileSync(other.file, ca)
    const upstream = `tls = { ca = "${ca}" }\nqueue = { length = 0, timeout = "100ms" }`
    const config = configText({ endpoints: [`https://localhost:${port}`], upstream })
    const causeway = await startCauseway(t, { config })
    t.equal((await ask(causeway.port(), get('/doubt'))).status, 503)
    const line = await causeway.line('endpoint unreachable', ({ msg }) => msg === 'endpoint unreachable')
    t.match(line['reason'], 'was issued by an untrusted CA: specify it with tls.ca')
    const status = await (await fetch(`${causeway.adminUrl}/status`)).text()
    t.match(status, 'was issued by an untrusted CA: specify it with tls.ca')

    writeFileSync(ca, authority.certificate)
    t.equal(await causeway.reload(config), 'success')
    const answered = async () => (await ask(causeway.port(), get('/trusted'))).status === 200
    await until('the endpoint to be trusted', answered)

    writeFileSync(ca, 'nothing of the kind')
    t.equal(await causeway.reload(config), 'failure')
    t.equal((await ask(causeway.port(), get('/trusted'))).status, 200, 'what runs goes on')
  },
)

t.test('a WebSocket goes through to an https endpoint', async t => {
  const port = await startTlsFront(t, app.port, { cert, key })
  app.on('/socket', echo)
  const upstream = `tls = { ca = "${authority.file}" }`
  const config = configText({ endpoints: [`https://localhost:${port}`], upstream })
  const causeway = await startCauseway(t, { config })
  const client = await openWebSocket(causeway.port(), '/socket')
  client.send('through TLS')
  await client.untilReceived('through TLS')
  client.halfClose()
  await client.untilEnded()
  await causeway.metric('causeway_upstream_tunnels', {}, value => value === 0)
})
