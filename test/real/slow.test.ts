import { createHash } from 'node:crypto'
import t from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { fieldOf, get, RawClient } from '../support/raw-client.ts'
import { ask, missing, startDjango } from './support.ts'

// One worker that takes one request at a time: whoever holds it stops everybody else.

const skip = missing('django', 'gunicorn')
const CLIENTS = 60
const MEBIBYTE = 1024 * 1024

async function othersAreServed(causeway: Running): Promise<number[]> {
  const statuses: number[] = []
  for (let i = 0; i < 10; i += 1) statuses.push((await ask(causeway.port(), { path: '/healthz' })).status)
  return statuses
}
const SERVED = Array.from({ length: 10 }, () => 200)

t.test('clients that send slowly hold no worker, and their uploads arrive whole', { skip }, async t => {
  const app = await startDjango(t, ['--workers', '1'])
  const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect(causeway.port())))
  for (const [i, client] of clients.entries()) {
    const framing = i % 2 === 0 ? 'Content-Length: 10' : 'Transfer-Encoding: chunked'
    client.send(`POST /upload/ HTTP/1.1\r\nHost: 127.0.0.1\r\n${framing}\r\n\r\n`)
    client.send(i % 2 === 0 ? 'half ' : '5\r\nhalf \r\n')
  }
  t.same(await othersAreServed(causeway), SERVED)
  for (const [i, client] of clients.entries()) client.send(i % 2 === 0 ? 'whole' : '5\r\nwhole\r\n0\r\n\r\n')
  const sha256 = createHash('sha256').update('half whole').digest('hex')
  for (const client of clients) {
    const answer = await client.response('POST')
    t.same(JSON.parse(answer.body.toString()), { sha256, length: 10, content_length: '10' })
    client.destroy()
  }
})

t.test('clients that read slowly hold no worker, and their answers arrive whole', { skip }, async t => {
  const app = await startDjango(t, ['--workers', '1'])
  const causeway = await startCauseway(t, {
    config: configText({ endpoints: [app.port], listener: 'timeouts = { write = "10m" }' }),
  })
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(causeway.port())))
  for (const [i, client] of clients.entries()) {
    client.stall()
    client.send(get(i % 2 === 0 ? '/download/12/?length' : '/download/12/'))
  }
  await causeway.metric('causeway_upstream_requests_total', {}, value => value === clients.length)
  t.same(await othersAreServed(causeway), SERVED)
  t.ok(
    (await causeway.metrics()).sum('causeway_spool_file_bytes') > clients.length * MEBIBYTE,
    'held in files',
  )
  t.ok(causeway.rssBytes() < 300 * MEBIBYTE, `RSS ${causeway.rssBytes() / MEBIBYTE} MiB`)
  for (const client of clients) {
    client.socket.resume()
    const answer = await client.response('GET', 30_000)
    t.ok(answer.complete)
    t.equal(createHash('sha256').update(answer.body).digest('hex'), fieldOf(answer, 'x-sha256'))
    client.destroy()
  }
})
