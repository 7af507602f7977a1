import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { startDeafServer } from '../support/deaf-server.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { never, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    upstream: 'body = "stream"\npassive = { failures = "off" }\nretry = { attempts = 1 }',
  }),
})
const MIB = 1024 * 1024

/** Where a client can leave: what it has sent by then, and what the app does. */
const PHASES: readonly (readonly [
  name: string,
  sent: string,
  script: Script | undefined,
  await_: string | undefined,
])[] = [
  ['before a byte', '', undefined, undefined],
  ['inside the request line', 'GET /ga', undefined, undefined],
  ['inside the fields', 'GET /gone HTTP/1.1\r\nHost: exam', undefined, undefined],
  ['while the app thinks', get('/gone'), never, 'head'],
  [
    'before the body',
    'POST /gone HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\r\n',
    never,
    'head',
  ],
  [
    'inside the body',
    'POST /gone HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\r\nhalf',
    never,
    'head',
  ],
  [
    'inside a chunk',
    'POST /gone HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf',
    never,
    'head',
  ],
  [
    'inside the answer',
    get('/gone'),
    line => line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MIB}\r\n\r\n${'x'.repeat(MIB)}`),
    'answer',
  ],
  [
    'inside a chunked answer',
    get('/gone'),
    line => line.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n${'x'.repeat(100)}`),
    'answer',
  ],
  ['behind an interim answer', get('/gone'), line => line.send('HTTP/1.1 103 Early Hints\r\n\r\n'), 'answer'],
  ['with requests in the pipe', get('/gone') + get('/piped') + get('/piped'), never, 'head'],
]

t.test('clients that reset in any phase harm nobody, and their upstream work ends', async t => {
  for (const [name, sent, script, wait] of PHASES) {
    const before = upstream.requests.length
    if (script !== undefined) upstream.on('/gone', script)
    const client = await RawClient.connect(causeway.port())
    client.send(sent)
    if (wait !== undefined)
      await until(`${name}: a request at the app`, () => upstream.requests.length > before)
    if (wait === 'answer') await client.untilReceived('HTTP/1.1 ')
    client.reset()
    await causeway.metric('causeway_requests_in_flight', {}, value => value === 0)
    await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
    t.equal((await ask(causeway.port(), get('/fine'))).status, 200, name)
  }
  t.equal(upstream.seen('/piped').length, 0)
})

t.test('clients that close inside their request harm nobody, and their upstream work ends', async t => {
  for (const [name, sent, script, wait] of PHASES) {
    if (sent.endsWith('\r\n\r\n') && !sent.includes('POST')) continue
    const before = upstream.requests.length
    if (script !== undefined) upstream.on('/gone', script)
    const client = await RawClient.connect(causeway.port())
    client.send(sent)
    if (wait !== undefined)
      await until(`${name}: a request at the app`, () => upstream.requests.length > before)
    client.destroy()
    await causeway.metric('causeway_requests_in_flight', {}, value => value === 0)
    await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
    t.equal((await ask(causeway.port(), get('/fine'))).status, 200, name)
  }
})

t.test('clients that reset while we still connect to the app take no slot', async t => {
  const deaf = await startCauseway(t, {
    config: configText({
      endpoints: [await startDeafServer(t)],
      upstream: 'body = "stream"\ntimeouts = { connect = "60s" }',
    }),
  })
  for (const request of [
    get('/'),
    'POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 9\r\n\r\nhalf',
  ]) {
    const client = await RawClient.connect(deaf.port())
    client.send(request)
    await deaf.metric('causeway_upstream_in_flight', {}, value => value === 1)
    client.reset()
    await deaf.metric('causeway_requests_in_flight', {}, value => value === 0)
    await deaf.metric('causeway_upstream_in_flight', {}, value => value === 0)
  }
  await assertClean(t, deaf)
})

t.test('a client that closes while the app thinks is let go when the answer cannot be delivered', async t => {
  let release = () => {}
  upstream.on('/thinks', async line => {
    await new Promise<void>(done => {
      release = done
    })
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${MIB}\r\n\r\n${'x'.repeat(MIB)}`)
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/thinks'))
  await upstream.arrival('/thinks')
  client.destroy()
  release()
  await causeway.metric('causeway_requests_in_flight', {}, value => value === 0)
  await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
  t.equal((await ask(causeway.port(), get('/fine'))).status, 200)
})

t.test('a client that closes while the app does not answer is let go before the app would be', async t => {
  upstream.on('/forgotten', never)
  const client = await RawClient.connect(causeway.port())
  client.send(get('/forgotten'))
  await upstream.arrival('/forgotten')
  client.destroy()
  // The app has 60 s.
  await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
  const { end } = await causeway.accessOf('/forgotten')
  t.equal(end, 'client_gone')
})

t.test('a client that closes its half still gets its answer', async t => {
  let release = () => {}
  upstream.on('/half', async line => {
    await new Promise<void>(done => {
      release = done
    })
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf')
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/half'))
  client.halfClose()
  await upstream.arrival('/half')
  release()
  t.equal((await client.response()).body.toString(), 'half')
  await client.untilEnded()
})

t.test('a client that closes its half inside the answer is left when the answer is out', async t => {
  let release = () => {}
  upstream.on('/half-later', async line => {
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf')
    await new Promise<void>(done => {
      release = done
    })
    line.send('half')
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/half-later'))
  await client.untilReceived('half')
  client.halfClose()
  // Its end has reached the proxy when a later client has been served there.
  t.equal((await ask(causeway.port(), get('/fine'))).status, 200)
  release()
  t.equal((await client.response()).body.toString(), 'halfhalf')
  await client.untilEnded()
})

t.test('a half-closed client with pipelined requests gets all answers', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/half-piped?1') + get('/half-piped?2') + get('/half-piped?3'))
  client.halfClose()
  for (const n of [1, 2, 3]) t.equal((await client.response()).status, 200, String(n))
  await client.untilEnded()
})

t.test('a slow client that closes its half gets its answer to the last byte', async t => {
  // Of so many lengths some end just where our buffer still holds what the kernel has no room for.
  const lengths = Array.from({ length: 40 }, (_, n) => 3_600_000 + n * 60_000)
  upstream.on('/slow-half', line => {
    const length = Number(upstream.requests.at(-1)?.target.split('?')[1])
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
    line.send(Buffer.alloc(length, 'x'))
  })
  const clients: RawClient[] = []
  for (const length of lengths) {
    const client = await RawClient.connect(causeway.port())
    clients.push(client)
    client.send(get(`/slow-half?${length}`, 'Connection: close\r\n'))
    await client.untilReceived('\r\n\r\n')
    client.stall()
  }
  await until('the flow to stop', async () => {
    const sent = upstream.bytesSent
    await new Promise(done => setTimeout(done, 200))
    return sent === upstream.bytesSent
  })
  for (const client of clients) client.halfClose()
  t.equal((await ask(causeway.port(), get('/fine'))).status, 200)
  const answers = await Promise.all(
    clients.map(client => {
      client.socket.resume()
      return client.response()
    }),
  )
  t.same(
    answers.map(answer => answer.body.length),
    lengths,
  )
  for (const client of clients) client.destroy()
})

t.test('a half-closed client that takes nothing for a while still gets its answer', async t => {
  const length = 32 * MIB
  upstream.on('/half-pausing', line => {
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
    line.send(Buffer.alloc(length, 'x'))
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/half-pausing'))
  await client.untilReceived('\r\n\r\n')
  client.stall()
  client.halfClose()
  // Longer than a half-closed client may wait for the app.
  await new Promise(done => setTimeout(done, 7000))
  client.socket.resume()
  t.equal((await client.response()).body.length, length)
  client.destroy()
})

t.test('a half-closed client inside its request gets 400 or the end, never an answer of the app', async t => {
  upstream.on('/half-body', never)
  for (const sent of [
    'GET /half-head HTTP/1.1\r\nHost: exam',
    'POST /half-body HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\r\nhalf',
    'POST /half-body HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  ]) {
    const client = await RawClient.connect(causeway.port())
    client.send(sent)
    client.halfClose()
    const all = await client.untilEnded()
    t.ok(all === '' || all.startsWith('HTTP/1.1 400'), JSON.stringify(all.slice(0, 60)))
  }
  t.notOk(upstream.seen('/half-body').some(request => request.complete))
})

/** Where an app can leave, and what its client then gets: a status, or `cut` inside the answer. */
const APP_PHASES: readonly (readonly [name: string, script: Script, outcome: number | 'cut'])[] = [
  ['at once', line => line.reset(), 502],
  [
    'inside its status line',
    line => {
      line.send('HTTP/1.1 20')
      setTimeout(() => line.reset(), 30)
    },
    502,
  ],
  [
    'inside its fields',
    line => {
      line.send('HTTP/1.1 200 OK\r\nContent-Le')
      setTimeout(() => line.reset(), 30)
    },
    502,
  ],
  [
    'behind an interim answer',
    line => {
      line.send('HTTP/1.1 103 Early Hints\r\n\r\n')
      setTimeout(() => line.reset(), 30)
    },
    502,
  ],
  [
    'inside its body',
    line => {
      line.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
      setTimeout(() => line.reset(), 30)
    },
    'cut',
  ],
  [
    'inside its chunks',
    line => {
      line.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf')
      setTimeout(() => line.reset(), 30)
    },
    'cut',
  ],
  [
    'inside a body that only its connection ends',
    line => {
      line.send('HTTP/1.1 200 OK\r\n\r\nhalf')
      setTimeout(() => line.reset(), 30)
    },
    'cut',
  ],
]

t.test('apps that reset in any phase harm nobody, and their clients are told', async t => {
  for (const [name, script, outcome] of APP_PHASES) {
    upstream.on('/app-gone', script)
    const client = await RawClient.connect(causeway.port())
    client.send(get('/app-gone'))
    const answer = await client.response()
    t.equal(answer.status, outcome === 'cut' ? 200 : outcome, name)
    t.equal(answer.complete, outcome !== 'cut', `${name}: complete`)
    client.destroy()
    t.equal((await ask(causeway.port(), get('/fine'))).status, 200, `${name}: others are served`)
  }
})

t.test('a thousand connections that come and go leave nothing behind', async t => {
  for (let round = 0; round < 20; round += 1) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(causeway.port())))
    for (const [n, client] of clients.entries()) {
      client.send(get('/come-and-go'))
      if (n % 2 === 0) client.reset()
    }
    await Promise.all(clients.filter((_, n) => n % 2 === 1).map(client => client.response()))
    for (const client of clients) client.destroy()
  }
  await causeway.metric('causeway_connections_active', {}, value => value === 0)
  t.equal((await ask(causeway.port(), get('/fine'))).status, 200)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
