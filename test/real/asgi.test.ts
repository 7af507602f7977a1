import { Readable } from 'node:stream'
import t from 'tap'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { until } from '../support/until.ts'
import { ask, bytesToSend, missing, open, read, readUntil, startAsgi, TRUSTING } from './support.ts'

const skip = missing('uvicorn')
const MEBIBYTE = 1024 * 1024

const CLAIMS = [
  ['X-Forwarded-For', '203.0.113.7'],
  ['X-Forwarded-Proto', 'https'],
] as const

t.test('an ASGI app under uvicorn', { skip }, async t => {
  const app = await startAsgi(t)
  const config = configText({ endpoints: [app.port], upstream: 'body = "stream"', more: TRUSTING })
  const causeway = await startCauseway(t, { config })
  const web = causeway.port()

  await t.test('the app sees target, client and fields as they were sent', async t => {
    const fields = [['X-Thing', 'caf\u00e9']] as const
    const answer = await ask(web, { path: '/echo/%2e%2e/a%20b?x=%2F&y', fields })
    t.match(JSON.parse(answer.text), { scheme: 'http', path: '/echo/%2e%2e/a%20b', query: 'x=%2F&y' })
    t.match(JSON.parse(answer.text).headers, [['host', `127.0.0.1:${web}`]])
    t.match(answer.text, /"x-thing", "caf\\u00e9"/)
  })

  await t.test('what a client claims about itself does not reach the app', async t => {
    const answer = await ask(web, { path: '/echo/', fields: CLAIMS })
    t.notMatch(answer.text, /203\.0\.113|https/)
    t.match(JSON.parse(answer.text), { scheme: 'http' })
    t.match(answer.text, '["x-forwarded-for", "127.0.0.1"]')
  })

  await t.test('what a trusted proxy says of its client does', async t => {
    const answer = await ask(causeway.port('trusting'), { path: '/echo/', fields: CLAIMS })
    t.match(JSON.parse(answer.text), { scheme: 'https', client: ['203.0.113.7', 0] }, 'uvicorn believes us')
  })

  await t.test('50 MiB up, chunked: byte for byte', async t => {
    const sent = bytesToSend(50)
    const fields = [['Transfer-Encoding', 'chunked']] as const
    const answer = await ask(web, { path: '/upload/', method: 'POST', fields, body: sent.body() })
    t.match(JSON.parse(answer.text), { sha256: sent.sha256, length: sent.length })
  })

  await t.test('50 MiB up, with a length: byte for byte', async t => {
    const sent = bytesToSend(50)
    const fields = [['Content-Length', String(sent.length)]] as const
    const answer = await ask(web, { path: '/upload/', method: 'POST', fields, body: sent.body() })
    t.match(JSON.parse(answer.text), { sha256: sent.sha256, length: sent.length })
  })

  await t.test('50 MiB down: byte for byte', async t => {
    const answer = await ask(web, { path: '/download/50/' })
    t.equal(answer.length, 50 * MEBIBYTE)
    t.equal(answer.sha256, answer.headers['x-sha256'])
  })

  await t.test('an upload reaches the app while it is still being sent', async t => {
    let goOn = () => {}
    const heard = new Promise<void>(resolve => {
      goOn = resolve
    })
    const body = async function* () {
      yield Buffer.from('first')
      await heard
      yield Buffer.from('second')
    }
    const fields = [['Transfer-Encoding', 'chunked']] as const
    const question = { path: '/watched-upload/u/', method: 'POST', fields, body: Readable.from(body()) }
    const answered = ask(web, question)
    t.equal((await ask(web, { path: '/wait/u/' })).status, 200, 'the app has the first piece')
    goOn()
    t.same(JSON.parse((await answered).text), { length: 11 })
  })

  await t.test('events arrive one by one', async t => {
    const answer = await open(web, { path: '/stream/s/' })
    t.equal(answer.headers['content-type'], 'text/event-stream')
    for (const number of [0, 1]) {
      await readUntil(answer, `data: tick ${number}\n\n`)
      await ask(web, { path: '/signal/s/' })
    }
    t.match(await read(answer), { status: 200, text: 'data: tick 2\n\n' })
  })

  await t.test('an app learns that its client has left', async t => {
    const answer = await open(web, { path: '/endless/e/' })
    await readUntil(answer, 'data: here')
    t.equal((await ask(web, { path: '/gone/e/' })).text, 'false')
    answer.destroy()
    await until('the app to notice', async () => (await ask(web, { path: '/gone/e/' })).text === 'true')
  })
})
