import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, post, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Apps that check who may have a file, and leave the sending to us.

const LARGE = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => i % 251))
const folder = t.testdir({ 'secret.txt': 'outside', files: { 'note.txt': 'hello note', 'large.bin': LARGE } })
const root = join(folder, 'files')
symlinkSync('../secret.txt', join(root, 'out.txt'))

const upstream = await RecordingUpstream.start(t)
/** The app hands over what the last part of the path stands for. */
const HANDED = {
  note: 'X-Accel-Redirect: /protected/note.txt',
  large: 'X-Accel-Redirect: /protected/large.bin',
  limited: 'X-Accel-Redirect: /protected/large.bin\r\nX-Accel-Limit-Rate: 100000',
  named: `X-Sendfile: ${root}/note.txt`,
  up: 'X-Accel-Redirect: /protected/../secret.txt',
  escaped: 'X-Accel-Redirect: /protected/%2e%2e%2fsecret.txt',
  link: 'X-Accel-Redirect: /protected/out.txt',
  none: 'X-Accel-Redirect: /protected/none.txt',
  elsewhere: 'X-Sendfile: /etc/passwd',
} as const
for (const [name, field] of Object.entries(HANDED)) {
  upstream.on(`/${name}`, async (line, request) => {
    await request.whole()
    line.send(
      `HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nSet-Cookie: a=1\r\nContent-Disposition: attachment\r\n${field}\r\nContent-Length: 4\r\n\r\n`,
    )
    if (request.method !== 'HEAD') line.send('body')
  })
}
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    more: `
[routes.protected]
path = "/protected/"
static = { root = ${JSON.stringify(root)}, internal = true }`,
  }),
})

t.test('the file is sent with the fields of the app, and the connection goes on', async t => {
  const client = await RawClient.connect(causeway.port())
  for (const [path, body] of [
    ['/note', Buffer.from('hello note')],
    ['/named', Buffer.from('hello note')],
    ['/large', LARGE],
    ['/note', Buffer.from('hello note')],
  ] as const) {
    client.send(get(path))
    const answer = await client.response()
    t.equal(answer.status, 200, path)
    t.ok(answer.body.equals(body), `${path}: the bytes`)
    t.equal(fieldOf(answer, 'content-type'), 'application/pdf')
    t.equal(fieldOf(answer, 'content-disposition'), 'attachment')
    t.equal(fieldOf(answer, 'set-cookie'), 'a=1')
    t.equal(fieldOf(answer, 'content-length'), String(body.length))
    t.equal(fieldOf(answer, 'x-accel-redirect'), undefined)
    t.equal(fieldOf(answer, 'x-sendfile'), undefined)
    client.send(get(path, 'Range: bytes=2-5\r\n'))
    const part = await client.response()
    t.equal(part.status, 206)
    t.ok(part.body.equals(body.subarray(2, 6)))
    client.send(get(path, `If-None-Match: ${fieldOf(answer, 'etag')}\r\n`))
    t.equal((await client.response()).status, 304)
    client.send(`HEAD ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const head = await client.response('HEAD')
    t.equal(fieldOf(head, 'content-length'), String(body.length))
    client.send(post(path, 'a form', 'Range: bytes=2-5\r\n'))
    const posted = await client.response('POST')
    t.equal(posted.status, 200)
    t.ok(posted.body.equals(body))
  }
  client.destroy()
})

t.test('nothing outside the root is given away', async t => {
  for (const path of ['/up', '/escaped', '/link', '/none', '/elsewhere']) {
    const answer = await ask(causeway.port(), get(path))
    t.equal(answer.status, 404, path)
    t.notMatch(answer.body.toString(), /outside|root:/, path)
  }
  t.equal((await ask(causeway.port(), get('/protected/note.txt'))).status, 404)
})

t.test('a client that leaves a limited transfer leaves nothing behind', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/limited'))
  await until('the first of it', () => client.received.length >= 50_000)
  client.destroy()
  t.equal((await causeway.accessOf('/limited'))['end'], 'client_gone')
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
