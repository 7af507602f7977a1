import { join } from 'node:path'
import t from 'tap'
import type { Address, HealthConfig } from '../lib/config/model.ts'
import { Bench, target } from './support/prober-bench.ts'
import { RecordingUwsgi, type UwsgiLine, type UwsgiScript } from './support/recording-uwsgi.ts'
import { shortFolder } from './support/short-folder.ts'
import { until } from './support/until.ts'

t.test('a uwsgi endpoint gets a real packet, and its answer is judged like any other', async t => {
  const app = await RecordingUwsgi.start(t)
  const address: Address = { kind: 'tcp', host: '127.0.0.1', port: app.port }
  const probe = async (script: UwsgiScript, health: Partial<HealthConfig> = {}) => {
    app.script = script
    const bench = new Bench(t)
    bench.prober.reconcile([target(address, health, 'one', 'uwsgi')])
    return (await bench.result(1)).reason
  }
  const answer = (text: string) => (line: UwsgiLine) => line.finish(text)
  t.equal(
    await probe(answer('HTTP/1.1 200 OK\r\n\r\nfine'), {
      path: '/a%20b?deep=1',
      headers: { 'X-Forwarded-Proto': 'https' },
    }),
    '',
  )
  t.same(Object.fromEntries(app.lines[0]?.variables ?? []), {
    QUERY_STRING: 'deep=1',
    REQUEST_METHOD: 'GET',
    CONTENT_TYPE: '',
    CONTENT_LENGTH: '',
    REQUEST_URI: '/a%20b?deep=1',
    PATH_INFO: '/a b',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_SCHEME: 'http',
    REMOTE_ADDR: '127.0.0.1',
    SERVER_PORT: '80',
    SERVER_NAME: 'example.com',
    HTTP_HOST: 'example.com',
    HTTP_USER_AGENT: 'causeway-probe',
    HTTP_ACCEPT: '*/*',
    HTTP_CONNECTION: 'close',
    HTTP_X_FORWARDED_PROTO: 'https',
  })
  // Whole by its length, though the app keeps the connection open.
  t.equal(await probe(line => line.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine')), '')
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n'
  t.equal(await probe(answer(`${chunked}0\r\n\r\n`)), '')
  t.match(await probe(answer(chunked)), 'before the response was complete')
  t.match(await probe(answer('HTTP/1.1 400 Bad Request\r\n\r\n')), /^status 400, .*set health\.host$/)
  t.match(
    await probe(answer('HTTP/1.1 301 Moved\r\nLocation: https://example.com/\r\n\r\n')),
    /redirects to https/,
  )
  t.match(
    await probe(answer('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')),
    'before the response was complete',
  )
  t.equal(await probe(answer('')), 'connection closed before the response')
  t.match(await probe(line => line.reset()), 'reset before the response')
  t.match(await probe(answer('220 mail.example ESMTP\r\n')), 'not HTTP')
  await until('all connections to be closed by us', () => app.lines.every(line => line.ended || line.closed))
  t.same(app.dirty, [])
})

t.test('a uwsgi probe that takes too long says how far it came', async t => {
  const app = await RecordingUwsgi.start(t)
  const address: Address = { kind: 'tcp', host: '127.0.0.1', port: app.port }
  for (const [sent, reached] of [
    ['', 'no response'],
    ['HTTP/1.1 200 OK\r\n\r\nhalf', 'the response did not end'],
  ] as const) {
    const bench = new Bench(t)
    app.script = line => line.send(sent)
    bench.prober.reconcile([target(address, {}, 'one', 'uwsgi')])
    const line = await app.line(app.lines.length)
    if (sent !== '') await until('the answer to be read', () => line.socket.writableLength === 0)
    // Sent within this process is received in the next turn of its loop.
    for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate)
    bench.advance(1100)
    t.equal((await bench.result(1)).reason, `timed out after 1s (${reached})`)
    await until('it to be closed', () => line.ended)
  }
})

t.test('nobody listens', async t => {
  const bench = new Bench(t)
  const path = join(shortFolder(t), 'none.sock')
  bench.prober.reconcile([target({ kind: 'unix', path }, {}, 'one', 'uwsgi')])
  t.equal((await bench.result(1)).reason, `no socket at ${path}`)
})
