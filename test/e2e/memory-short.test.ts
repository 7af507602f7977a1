import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { SETTING } from '../support/http2-frames.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { ok, RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Memory is short when the process has more than its share, which here is made so small that it always has.

const app = await RecordingUpstream.start(t)
const config = (share: string) =>
  configText({
    endpoints: [app.port],
    server: `overload = { memory = "${share}" }`,
    listener: 'h2c = true',
    upstream: 'read_ahead = "off"\ntimeouts = { response = "1m" }',
  })
const causeway = await startCauseway(t, { config: config('0%') })
const isGivenUp = { end: 'client_timeout', detail: 'memory is short, and the client is not reading' }

t.test('when memory is short those go first who take nothing of their answers, and nobody else', async t => {
  const waiting: UpstreamLine[] = []
  app.on('/big', ok('x'.repeat(32 * 1024 * 1024)))
  app.on('/page', ok('x'.repeat(60_000)))
  app.on('/late', line => void waiting.push(line))
  const shut = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, 0]])
  const deaf = await RawClient.connect(causeway.port())
  t.teardown(() => {
    shut.destroy()
    deaf.destroy()
  })
  const page = shut.get('/page')
  const late = shut.get('/late')
  await until('the head of its answer', () => shut.status(page))
  deaf.stall()
  deaf.send(get('/big'))
  await until('both apps to be asked', () => waiting.length === 1 && app.seen('/big').length === 1)
  t.equal(await causeway.reload(config('0.1%')), 'success')
  await until('the stream to be given up', () => shut.resetOf(page))
  t.match(await causeway.accessOf('/big'), isGivenUp)
  t.equal(shut.resetOf(late), undefined, 'a stream that waits for its app stays')
  waiting[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  await until('its answer', () => shut.status(late))
  t.equal(shut.status(late), 200)
  t.equal(await causeway.reload(config('0%')), 'success')
  await causeway.line('the end of it', line => line['msg'] === 'overload is over')
  await until('the first request behind it to be served', async () => (await shut.ask('/again')) === 200)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
