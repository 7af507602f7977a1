import t from 'tap'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { never, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal}: /readyz fails first, what runs is finished, exit code 0`, async t => {
    const app = await RecordingUpstream.start(t)
    const gate = Promise.withResolvers<void>()
    app.on('/slow', async line => {
      await gate.promise
      line.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslow\n')
    })
    const causeway = await startCauseway(t, {
      config: configText({ endpoints: [app.port], workers: 2, server: '' }).replace(
        'drain = "1s"',
        'drain = "20s"',
      ),
    })
    const idle = await RawClient.connect(causeway.port())
    const client = await RawClient.connect(causeway.port())
    client.send(get('/slow'))
    await app.arrival('/slow')
    causeway.signal(signal)
    await until('/readyz to fail', async () => (await fetch(`${causeway.adminUrl}/readyz`)).status === 503)
    t.equal((await fetch(`${causeway.adminUrl}/healthz`)).status, 200)
    await idle.untilEnded()
    gate.resolve()
    const answer = await client.response()
    t.equal(answer.status, 200)
    t.ok(answer.fields.some(([name, value]) => name === 'Connection' && value === 'close'))
    t.equal(await causeway.exitCode(), 0)
    t.notOk(causeway.lines.some(({ msg }) => msg === 'requests cut'))
    t.equal(causeway.access.length, 1, 'the last line is written')
  })
}

t.test('what does not finish within server.drain is cut, and the log says how much', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/never', never)
  const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/never'))
  await app.arrival('/never')
  causeway.signal('SIGTERM')
  t.equal(await causeway.exitCode(), 0)
  t.match(
    causeway.lines.find(({ msg }) => msg === 'requests cut'),
    { exchanges: 1, connections: 1 },
  )
  t.match(causeway.access[0], { path: '/never', end: 'shutdown' })
})

t.test('a second signal cuts at once', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/never', never)
  const causeway = await startCauseway(t, {
    config: configText({ endpoints: [app.port] }).replace('drain = "1s"', 'drain = "1h"'),
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/never'))
  await app.arrival('/never')
  causeway.signal('SIGTERM')
  await causeway.line('draining', ({ msg }) => msg === 'draining')
  // One that follows at once is taken for the same: npm passes on what the terminal has already sent.
  await until('the exit', () => {
    causeway.signal('SIGTERM')
    return causeway.exited
  })
  t.equal(await causeway.exitCode(), 0)
  t.equal(causeway.lines.filter(({ msg }) => msg === 'requests cut').length, 1)
})
