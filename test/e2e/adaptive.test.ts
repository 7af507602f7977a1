import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const app = await RecordingUpstream.start(t)
const config = (mode: string) =>
  configText({
    endpoints: [app.port],
    upstream: `adaptive = { mode = "${mode}", min = 2, max = 2 }\nqueue = { length = 100, timeout = "30s" }`,
  })
/** Enough for a window, one after the other. */
async function serve(port: number): Promise<void> {
  const client = await RawClient.connect(port)
  for (let n = 0; n < 12; n += 1) {
    client.send(get('/'))
    await client.response()
  }
  client.destroy()
}

t.test('what is learned is shown, and in force where it is to be', async t => {
  const release: (() => void)[] = []
  app.on('/slow', async (line, request) => {
    await new Promise<void>(done => release.push(done))
    await ok()(line, request)
  })
  const causeway = await startCauseway(t, { config: config('observe') })
  const server = `127.0.0.1:${app.port}`
  const limit = (test: (value: number) => boolean) =>
    causeway.metric('causeway_upstream_concurrency_limit', { upstream: 'app', server }, test)
  await limit(value => value === 0)
  await until('a first window', async () => {
    await serve(causeway.port())
    return (await causeway.metrics()).sum('causeway_upstream_concurrency_limit') === 2
  })
  const free = Array.from({ length: 5 }, () => ask(causeway.port(), get('/slow')))
  await until('all at the app', () => release.length === 5)
  for (const done of release.splice(0)) done()
  t.ok(
    (await Promise.all(free)).every(({ status }) => status === 200),
    'observe holds nobody back',
  )

  t.equal(await causeway.reload(config('enforce')), 'success')
  await limit(value => value === 2)
  const held = await until('it to be in force', async () => {
    const asked = Array.from({ length: 5 }, () => ask(causeway.port(), get('/slow')))
    await until('all at the app or in the queue', async () => {
      const waiting = (await causeway.metrics()).sum('causeway_upstream_queue_depth')
      return release.length + waiting === 5
    })
    if (release.length === 2) return asked
    for (const done of release.splice(0)) done()
    await Promise.all(asked)
    return undefined
  })
  t.equal(release.length, 2)
  // Who waits goes on at once when a reload takes the limit away.
  t.equal(await causeway.reload(config('off')), 'success')
  await until('all at the app', () => release.length === 5)
  for (const done of release.splice(0)) done()
  t.ok((await Promise.all(held)).every(({ status }) => status === 200))
  await limit(value => value === 0)
  await assertClean(t, causeway, [app])
})
