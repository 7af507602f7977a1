import t from 'tap'
import { acceptOf } from '../../lib/http/websocket.ts'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, RawClient } from '../support/raw-client.ts'
import {
  never,
  ok,
  RecordingUpstream,
  raw,
  rawThenClose,
  type Script,
} from '../support/recording-upstream.ts'
import { RecordingUwsgi } from '../support/recording-uwsgi.ts'
import { until } from '../support/until.ts'
import { echo, KEY, opening, openWebSocket } from '../support/websocket-app.ts'

const MIB = 1024 * 1024

const app = await RecordingUpstream.start(t)
const timeouts = 'timeouts = { connect = "500ms", response = "500ms", idle = "500ms" }'
const causeway = await startCauseway(t, {
  config: configText({ endpoints: [app.port], upstream: `${timeouts}\npassive = { failures = 0 }` }),
})
const web = causeway.port()
app.on('/echo', echo)

const ACCEPT = `Sec-WebSocket-Accept: ${acceptOf(KEY)}\r\n`
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\n'
const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'

/**
 * What apps say to a request to switch that is not a switch; status, body and framing as the client then gets
 * them.
 */
const ANSWERS: readonly (readonly [name: string, script: Script, status: number, body: string])[] = [
  ['with a length', ok('no sockets here\n'), 200, 'no sockets here\n'],
  ['not found', raw('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone'), 404, 'none'],
  [
    'in chunks',
    raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
    200,
    'hello',
  ],
  ['until the end', rawThenClose('HTTP/1.1 403 Forbidden\r\n\r\nforbidden'), 403, 'forbidden'],
  ['in HTTP/1.0', rawThenClose('HTTP/1.0 200 OK\r\n\r\nold'), 200, 'old'],
  ['without a body', raw('HTTP/1.1 204 No Content\r\n\r\n'), 204, ''],
  [
    'another version, please',
    raw(
      'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n',
    ),
    426,
    '',
  ],
  [
    'a 200 that looks like a switch',
    raw(`HTTP/1.1 200 OK\r\n${WEBSOCKET}${ACCEPT}Content-Length: 2\r\n\r\nok`),
    200,
    'ok',
  ],
]

t.test(
  'an app that does not switch: its answer is an answer, and the connection goes on as HTTP',
  async t => {
    for (const [name, script, status, body] of ANSWERS) {
      app.on('/no', script)
      const client = await RawClient.connect(web)
      client.send(opening('/no'))
      const answer = await client.response()
      t.match(answer, { status, complete: true }, name)
      t.equal(answer.body.toString(), body, name)
      const upgrade = status === 426 ? 'websocket' : undefined
      t.equal(
        fieldOf(answer, 'upgrade'),
        upgrade,
        `${name}: nothing that asks to switch, but a 426 (RFC 9110 15.5.22)`,
      )
      t.equal(fieldOf(answer, 'connection'), status === 426 ? 'upgrade' : undefined, name)
      client.send(get('/fine'))
      t.equal((await client.response()).status, 200, `${name}: the next request`)
      client.destroy()
    }
  },
)

t.test('a request hidden behind a request to switch is a request, once the app has not switched', async t => {
  app.on('/smuggle', ok())
  const client = await RawClient.connect(web)
  client.send(opening('/smuggle') + get('/behind', 'X-Forwarded-For: 192.0.2.66\r\n'))
  t.equal((await client.response()).status, 200)
  t.equal((await client.response()).status, 200)
  const [behind, ...more] = app.seen('/behind')
  t.same(more, [])
  t.equal(behind?.field('x-forwarded-for'), '127.0.0.1', 'it came the ordinary way, cleaned')
  client.destroy()
})

t.test('nothing that is held behind a request to switch reaches the app before it has switched', async t => {
  app.on('/never', never)
  const client = await RawClient.connect(web)
  client.send(opening('/never') + get('/behind-never'))
  t.equal((await client.response()).status, 504)
  t.equal(app.seen('/behind-never').length, 0)
  client.destroy()
})

t.test('a large answer in place of a switch waits for a slow client', async t => {
  const streaming = await startCauseway(t, {
    config: configText({ endpoints: [app.port], upstream: 'read_ahead = "0"' }),
  })
  app.on('/large', line => {
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MIB}\r\n\r\n`)
    line.send(Buffer.alloc(64 * MIB, 'x'))
  })
  const client = await RawClient.connect(streaming.port())
  const before = streaming.rssBytes()
  client.send(opening('/large'))
  await client.untilReceived('\r\n\r\n')
  client.socket.removeAllListeners('data')
  client.stall()
  await until('the flow to stop', async () => {
    const sent = app.bytesSent
    await new Promise(done => setTimeout(done, 200))
    return sent === app.bytesSent && sent > 0
  })
  t.ok(app.bytesSent < 48 * MIB, 'the app has to wait')
  t.ok(streaming.rssBytes() - before < 32 * MIB, 'nothing piles up here')
  client.reset()
  await streaming.metric('causeway_upstream_in_flight', {}, value => value === 0)
  await streaming.stop()
})

/** Switches that are none. */
const BAD: readonly (readonly [name: string, answer: string, detail: RegExp])[] = [
  [
    'a wrong accept',
    `${SWITCH}${WEBSOCKET}Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n`,
    /Accept/,
  ],
  ['no accept', `${SWITCH}${WEBSOCKET}\r\n`, /Accept/],
  ['two accepts', `${SWITCH}${WEBSOCKET}${ACCEPT}${ACCEPT}\r\n`, /Accept/],
  ['another protocol', `${SWITCH}Connection: Upgrade\r\nUpgrade: h2c\r\n${ACCEPT}\r\n`, /another protocol/],
  ['no protocol', `${SWITCH}Connection: Upgrade\r\n${ACCEPT}\r\n`, /Upgrade/],
  ['no Connection', `${SWITCH}Upgrade: websocket\r\n${ACCEPT}\r\n`, /Upgrade/],
  ['a bare line feed', `${SWITCH}Connection: Upgrade\nUpgrade: websocket\r\n${ACCEPT}\r\n`, /./],
  ['a field with a space', `${SWITCH}${WEBSOCKET}${ACCEPT}X-A : b\r\n\r\n`, /./],
  ['no HTTP', 'hello there\r\n\r\n', /./],
  [
    'both framings',
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    /./,
  ],
]

t.test('a bad switch opens nothing: 502', async t => {
  for (const [i, [name, answer, detail]] of BAD.entries()) {
    const path = `/bad-${i}`
    app.on(path, raw(`${answer}bytes of a tunnel`))
    const client = await RawClient.connect(web)
    client.send(opening(path))
    const { status } = await client.response()
    t.equal(status, 502, name)
    const line = await causeway.accessOf(path)
    t.match(line, { end: 'upstream_bad', detail }, name)
    t.notMatch(client.received, 'bytes of a tunnel', name)
    client.destroy()
  }
  await causeway.metric('causeway_upstream_tunnels', {}, value => value === 0)
  t.equal((await causeway.metrics()).sum('causeway_upstream_tunnels_total'), 0)
})

/** Where an app can leave or fall silent before its response is whole. */
const FAILURES: readonly (readonly [name: string, script: Script, status: number, end: string])[] = [
  ['at once', line => line.end(), 502, 'upstream_closed'],
  ['by a reset', line => line.reset(), 502, 'upstream_closed'],
  ['inside the head', rawThenClose(`${SWITCH}Connec`), 502, 'upstream_closed'],
  ['never answering', never, 504, 'upstream_timeout'],
  [
    'inside a body',
    rawThenClose('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'),
    200,
    'upstream_truncated',
  ],
  ['silent inside a body', raw('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'), 200, 'upstream_timeout'],
]

t.test('an app that leaves before it has answered', async t => {
  for (const [i, [name, script, status, end]] of FAILURES.entries()) {
    const path = `/leaves-${i}`
    app.on(path, script)
    const client = await RawClient.connect(web)
    client.send(opening(path))
    const answer = await client.response()
    t.equal(answer.status, status, name)
    t.equal(answer.complete, status !== 200, name)
    t.match(await causeway.accessOf(path), { end }, name)
    client.destroy()
  }
})

t.test('a client that leaves before the switch frees the slot', async t => {
  app.on('/waits', never)
  for (const leave of ['reset', 'destroy'] as const) {
    const seen = app.seen('/waits').length
    const client = await RawClient.connect(web)
    client.send(opening('/waits'))
    await until('the request', () => app.seen('/waits').length > seen)
    client[leave]()
    await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
  }
  t.equal(app.open, 0, 'and the connection to the app')
})

t.test('an endpoint that is not there: the tunnel is opened at the other one', async t => {
  const gone = await RecordingUpstream.start(t)
  const port = gone.port
  await gone.stop()
  const two = await startCauseway(t, {
    config: configText({ endpoints: [port, app.port], upstream: 'balance = "round-robin"' }),
  })
  for (let i = 0; i < 4; i += 1) (await openWebSocket(two.port(), '/echo')).destroy()
  await two.metric('causeway_upstream_retries_total', { result: 'success' }, value => value > 0)
  await assertClean(t, two)
})

const REQUEST = (fields: string, line = 'GET /plain HTTP/1.1') =>
  `${line}\r\nHost: example.test\r\n${fields}\r\n`
const ASKING = `${WEBSOCKET}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`

/** Requests that are not quite a request for a WebSocket: the app must not see that one was meant. */
const ORDINARY: readonly (readonly [name: string, request: string])[] = [
  ['a body', `${REQUEST(`${ASKING}Content-Length: 5\r\n`)}hello`],
  ['a body in chunks', `${REQUEST(`${ASKING}Transfer-Encoding: chunked\r\n`)}0\r\n\r\n`],
  ['POST', REQUEST(`${ASKING}Content-Length: 0\r\n`, 'POST /plain HTTP/1.1')],
  ['HTTP/1.0', REQUEST(ASKING, 'GET /plain HTTP/1.0')],
  ['h2c', REQUEST(`${ASKING.replace('websocket', 'h2c')}HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n`)],
  ['TLS', REQUEST(ASKING.replace('websocket', 'TLS/1.0'))],
  ['nearly its name', REQUEST(ASKING.replace('websocket', 'websocket2'))],
  [
    'Upgrade, but not in Connection',
    REQUEST(ASKING.replace('Connection: Upgrade', 'Connection: keep-alive')),
  ],
  ['Connection, but no Upgrade', REQUEST(ASKING.replace('Upgrade: websocket\r\n', ''))],
  ['no key', REQUEST(ASKING.replace(/Sec-WebSocket-Key.*\r\n/, ''))],
  ['two keys', REQUEST(`${ASKING}Sec-WebSocket-Key: ${KEY}\r\n`)],
  ['a key that is none', REQUEST(ASKING.replace(KEY, 'AAAA'))],
  ['no version', REQUEST(ASKING.replace('Sec-WebSocket-Version: 13\r\n', ''))],
]

t.test('what is not quite a request for a WebSocket is an ordinary request', async t => {
  app.on('/plain', ok('plain'))
  for (const [name, request] of ORDINARY) {
    const before = app.seen('/plain').length
    t.equal((await ask(web, request)).body.toString(), 'plain', name)
    const seen = app.seen('/plain')[before]
    for (const field of ['upgrade', 'http2-settings'])
      t.equal(seen?.field(field), undefined, `${name}: ${field}`)
    t.notMatch(seen?.field('connection') ?? '', /upgrade/i, name)
  }
})

t.test('a uwsgi app cannot switch: for it this is an ordinary request', async t => {
  const uwsgi = await RecordingUwsgi.start(t)
  const before = await startCauseway(t, {
    config: configText({ endpoints: [`uwsgi://127.0.0.1:${uwsgi.port}`] }),
  })
  t.equal((await ask(before.port(), opening('/chat'))).status, 200)
  const { variables } = await uwsgi.line(0)
  t.equal(variables.get('PATH_INFO'), '/chat')
  t.equal(variables.get('HTTP_UPGRADE'), undefined)
  t.notMatch(variables.get('HTTP_CONNECTION') ?? '', /upgrade/i)
  await assertClean(t, before)
})

t.test('an app that switches unasked gets nobody', async t => {
  app.on('/unasked', raw(`${SWITCH}${WEBSOCKET}${ACCEPT}\r\nbytes of a tunnel`))
  for (const request of [get('/unasked'), REQUEST(ASKING, 'GET /unasked HTTP/1.0')]) {
    const answer = await ask(web, request)
    t.equal(answer.status, 502)
    t.notMatch(answer.body.toString(), 'bytes')
  }
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
