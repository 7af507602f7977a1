import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { RawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import type { Stage } from './scene.ts'
import { ask, bytesToSend, cookiesOf, open, readUntil } from './support.ts'

// What must be true of answers by the time that a client gets them.

export async function headThenGet(t: Test, { web }: Stage): Promise<void> {
  const wrong: string[] = []
  for (let n = 0; n < 20; n += 1) {
    const head = await ask(web, { path: '/', method: 'HEAD' })
    const page = await ask(web, { path: '/' })
    if (head.status !== 200 || head.length !== 0) wrong.push(`HEAD ${head.status}: ${head.text}`)
    if (!page.text.includes('Grüße')) wrong.push(`GET ${page.status}: ${page.text}`)
  }
  t.same(wrong, [])
}

export async function streams(t: Test, { kind, web, folder }: Stage): Promise<void> {
  for (const query of ['', '?unbuffered', '?events']) {
    const token = randomUUID()
    // Django 3 gathers a synchronous stream under ASGI: there only its end can be seen.
    if (kind.asgi) writeFileSync(join(folder, token), '')
    const answer = await open(web, { path: `/drip/${token}/${query}` })
    if (!kind.asgi)
      t.match(await readUntil(answer, 'line 0\n'), 'line 0\n', `before the app goes on ${query}`)
    writeFileSync(join(folder, token), '')
    t.match(await readUntil(answer, 'line 1\n'), 'line 1\n')
    t.equal(answer.headers['x-accel-buffering'], undefined)
    answer.destroy()
  }
}

export async function truncation(t: Test, { kind, causeway, web }: Stage): Promise<void> {
  const client = await RawClient.connect(web)
  client.send('GET /midfail/?length HTTP/1.1\r\nHost: site.example\r\n\r\n')
  await until('the break', () => client.ended !== undefined)
  t.notMatch(client.received, 'x'.repeat(5000))
  await until('its access line', () =>
    causeway.access.some(line => line['end'] !== 'ok' && String(line['path']).startsWith('/midfail/')),
  )
  client.destroy()
  // Without a length, uWSGI's end is the end of its connection: nobody can tell it from a whole answer.
  if (kind.name.startsWith('uWSGI')) return
  const unsized = await RawClient.connect(web)
  unsized.send('GET /midfail/ HTTP/1.1\r\nHost: site.example\r\n\r\n')
  await until('the break', () => unsized.ended !== undefined)
  t.notMatch(unsized.received, /\r\n0\r\n\r\n$/, 'no last chunk')
  unsized.destroy()
}

export async function expectContinue(t: Test, { web }: Stage): Promise<void> {
  const client = await RawClient.connect(web)
  client.send(
    'POST /upload/ HTTP/1.1\r\nHost: site.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
  )
  await until('the word to go on', () => client.received.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  client.send('hello')
  await until('the answer', () => client.received.includes('"length": 5'))
  t.equal(client.received.match(/100 Continue/g)?.length, 1, 'once, not from the app as well')
  client.destroy()
}

export async function earlyAnswer(t: Test, { web }: Stage): Promise<void> {
  const sent = bytesToSend(8)
  const fields = [['Content-Length', String(sent.length)]] as const
  const statuses: number[] = []
  for (let n = 0; n < 5; n += 1) {
    statuses.push((await ask(web, { path: '/form/', method: 'POST', fields, body: sent.body() })).status)
  }
  t.same(statuses, [403, 403, 403, 403, 403], 'no token, no reading')
  t.equal((await ask(web, { path: '/' })).status, 200)
}

export async function sendfile(t: Test, { web }: Stage): Promise<void> {
  const whole = await ask(web, { path: '/protected/note.txt' })
  t.match(whole, { status: 200, text: '0123456789' })
  t.equal(whole.headers['content-disposition'], 'attachment; filename="for-you.txt"')
  t.same(cookiesOf(whole.headers), ['seen=1'])
  t.equal(whole.headers['x-accel-redirect'], undefined)
  const part = await ask(web, { path: '/protected/note.txt', fields: [['Range', 'bytes=2-4']] })
  t.match(part, { status: 206, text: '234' })
  t.equal((await ask(web, { path: '/internal/note.txt' })).status, 404, 'directly')
  t.equal((await ask(web, { path: '/protected/none.txt' })).status, 404)
  t.ok((await ask(web, { path: '/protected/%2e%2e/secret' })).status >= 400, 'out of the folder')
  const sent = await ask(web, { path: '/sendfile/note.txt' })
  t.match(sent, { status: 200, text: '0123456789' })
  t.equal(sent.headers['x-sendfile'], undefined)
  t.ok(
    (await ask(web, { path: '/sendfile/../../../../../etc/hostname' })).status >= 400,
    'out of every internal root',
  )
}

export async function health(t: Test, { causeway }: Stage): Promise<void> {
  const checks = async (result: string) =>
    (await causeway.metrics()).sum('causeway_upstream_health_checks_total', { result })
  const before = await checks('pass')
  await until('further probes', async () => (await checks('pass')) > before + 1)
  t.equal((await causeway.metrics()).sum('causeway_upstream_server_state', { state: 'up' }), 1)
}
