import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { get, post, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { echo, openWebSocket } from '../support/websocket-app.ts'

// max_inflight bounds the connections to an endpoint over all data threads: busy ones, tunnels, those that
// rest, and those that are being closed.

const MOST = 5
const CLIENTS = 16
const ROUNDS = 12

t.test('an app never sees more connections than max_inflight, and every request gets its answer', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/socket', echo)
  app.on('/page', async (line, request) => {
    await request.whole()
    await pause(request.bodyBytes % 7)
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  app.on('/last', async (line, request) => {
    await request.whole()
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
    line.end()
  })
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: [app.port],
      workers: 3,
      upstream: `max_inflight = ${MOST}\nqueue = { length = 1000, timeout = "5m" }\nabandoned = "close"`,
    }),
  })
  const answered: number[] = []
  const ask = async (client: RawClient, request: string, method: string) => {
    client.send(request)
    answered.push((await client.response(method, 60_000)).status)
  }
  const talk = async (n: number) => {
    const tunnel = await openWebSocket(causeway.port(), '/socket')
    tunnel.send(`hello ${n}`)
    await tunnel.untilReceived(`hello ${n}`)
    tunnel.halfClose()
    await tunnel.untilEnded()
    answered.push(101)
  }
  const visit = async (n: number) => {
    const client = await RawClient.connect(causeway.port())
    for (let round = 0; round < ROUNDS; round += 1) {
      const kind = (n + round) % 8
      if (kind === 0) await talk(n)
      else if (kind === 1) await ask(client, get('/last'), 'GET')
      else if (kind < 4) await ask(client, post('/page', 'x'.repeat(n)), 'POST')
      else await ask(client, get('/page'), 'GET')
    }
    client.destroy()
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => visit(n)))
  t.equal(answered.length, CLIENTS * ROUNDS)
  t.same(new Set(answered), new Set([200, 101]))
  t.equal(app.requests.length, CLIENTS * ROUNDS, 'each was asked once')
  t.ok(app.mostOpen <= MOST, `${app.mostOpen} at a time`)
  t.ok(app.mostOpen > 1)
  await assertClean(t, causeway, [app])
})
