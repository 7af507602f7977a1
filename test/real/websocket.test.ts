import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { until, within } from '../support/until.ts'
import { ask, missing, PYTHON, startServer } from './support.ts'

const MEBIBYTE = 1024 * 1024

interface Server {
  readonly name: string
  readonly module: string
  readonly args: readonly string[]
  readonly pattern: RegExp
  /** What it tells its app of a client that closes with 4002. */
  readonly told: string
}

/** Pings often, so that ours have to pass its ones and the answers as well. */
const UVICORN = ['uvicorn', '--ws-ping-interval', '0.5', '--ws-ping-timeout', '5']
const SERVERS: readonly Server[] = [
  {
    name: 'uvicorn',
    module: 'uvicorn',
    args: [...UVICORN, '--ws', 'websockets', '--host', '127.0.0.1', '--port', '0'],
    pattern: /running on http:\/\/127\.0\.0\.1:(\d+)/,
    told: '4002',
  },
  {
    name: 'hypercorn',
    module: 'hypercorn',
    args: ['hypercorn', '--websocket-ping-interval', '1', '--bind', '127.0.0.1:0'],
    pattern: /Running on http:\/\/127\.0\.0\.1:(\d+)/,
    // Without a proxy as well: hypercorn 0.13 does not look at the client's code.
    told: '1006',
  },
  {
    name: 'daphne',
    module: 'daphne',
    args: ['daphne', '--ping-interval', '1', '-b', '127.0.0.1', '-p', '0'],
    pattern: /Listening on TCP address 127\.0\.0\.1:(\d+)/,
    told: '4002',
  },
]

/** A browser's WebSocket with what came over it. */
class Conversation {
  readonly socket: WebSocket
  readonly messages: (string | ArrayBuffer)[] = []
  closed: CloseEvent | undefined = undefined
  failed = false

  constructor(url: string, protocols: string[] = []) {
    this.socket = new WebSocket(url, protocols)
    this.socket.binaryType = 'arraybuffer'
    this.socket.addEventListener('message', ({ data }) => this.messages.push(data as string | ArrayBuffer))
    this.socket.addEventListener('error', () => {
      this.failed = true
    })
    this.socket.addEventListener('close', event => {
      this.closed = event
    })
  }

  async open(): Promise<this> {
    await until('the socket to open', () => {
      if (this.failed) throw new Error('the socket did not open')
      return this.socket.readyState === WebSocket.OPEN
    })
    return this
  }

  async next(): Promise<string | ArrayBuffer> {
    await until('a message', () => this.messages.length > 0)
    return this.messages.shift() as string | ArrayBuffer
  }

  async end(): Promise<CloseEvent> {
    return until('the socket to close', () => this.closed)
  }
}

function bytesOf(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255)
}

for (const { name, module, args, pattern, told } of SERVERS) {
  t.test(`WebSockets of ${name}`, { skip: missing(module, 'websockets') }, async t => {
    const app = await startServer(t, [PYTHON, '-m', ...args, 'asgi_websocket:app'], {}, pattern)
    const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })
    const url = `ws://127.0.0.1:${causeway.port()}`
    await conversations(t, url)
    await closeCodes(t, url, causeway.port(), told)
    await pings(t, url)
    await refusals(t, url, causeway.port())

    await t.test('the app sees the target as it came, and each of our fields once', async t => {
      const conversation = await new Conversation(`${url}/facts/?a=%2F&b`).open()
      const { path, query, headers } = JSON.parse(String(await conversation.next())) as Facts
      t.same([path, query], ['/facts/', 'a=%2F&b'])
      const names = headers.map(([field]) => field.toLowerCase())
      for (const field of ['x-request-id', 'x-forwarded-for', 'host', 'sec-websocket-key'])
        t.equal(names.filter(found => found === field).length, 1, field)
      conversation.socket.close()
      await conversation.end()
    })

    await t.test('a hundred at once, each with its own messages', async t => {
      const all = await Promise.all(
        Array.from({ length: 100 }, () => new Conversation(`${url}/echo/`).open()),
      )
      for (const [i, { socket }] of all.entries()) for (let n = 0; n < 10; n += 1) socket.send(`${i} ${n}`)
      for (const [i, conversation] of all.entries()) {
        await until('ten messages', () => conversation.messages.length === 10)
        t.same(
          conversation.messages,
          Array.from({ length: 10 }, (_, n) => `${i} ${n}`),
        )
      }
      for (const { socket } of all) socket.close()
      for (const conversation of all) t.equal((await conversation.end()).wasClean, true)
    })

    await t.test('a shutdown says goodbye to whoever has not gone in time', async t => {
      const config = configText({ endpoints: [app.port] })
      const stopping = await startCauseway(t, { config })
      const conversation = await new Conversation(`ws://127.0.0.1:${stopping.port()}/echo/goodbye`).open()
      conversation.socket.send('still here')
      t.equal(await conversation.next(), 'still here')
      t.equal(await stopping.stop(), 0)
      t.match(await conversation.end(), { code: 1001 })
      const { text } = await ask(causeway.port(), { path: '/told/goodbye' })
      t.equal(text, told === '4002' ? '1001' : told)
    })

    await causeway.metric('causeway_upstream_tunnels', {}, value => value === 0)
    t.ok((await causeway.metrics()).sum('causeway_upstream_tunnels_total') > 100)
    await assertClean(t, causeway)
  })
}

interface Facts {
  readonly path: string
  readonly query: string
  readonly headers: readonly [name: string, value: string][]
}

async function conversations(t: Test, url: string): Promise<void> {
  await t.test('text, bytes, and a subprotocol', async t => {
    const conversation = await new Conversation(`${url}/echo/`, ['other', 'chat']).open()
    t.equal(conversation.socket.protocol, 'chat')
    conversation.socket.send('grüße')
    t.equal(await conversation.next(), 'grüße')
    conversation.socket.send(new Uint8Array([0, 255, 10, 13]))
    t.same(new Uint8Array((await conversation.next()) as ArrayBuffer), new Uint8Array([0, 255, 10, 13]))
    conversation.socket.close(1000)
    t.match(await conversation.end(), { code: 1000, wasClean: true })
  })

  await t.test('a mebibyte there and back, and 8 from the app', async t => {
    const conversation = await new Conversation(`${url}/echo/`).open()
    const sent = bytesOf(MEBIBYTE)
    conversation.socket.send(sent)
    t.same(Buffer.from((await conversation.next()) as ArrayBuffer).equals(sent), true)
    conversation.socket.close()
    await conversation.end()
    const large = await new Conversation(`${url}/large/${8 * MEBIBYTE}`).open()
    t.equal(((await large.next()) as ArrayBuffer).byteLength, 8 * MEBIBYTE)
    large.socket.close()
    await large.end()
  })
}

async function closeCodes(t: Test, url: string, web: number, expected: string): Promise<void> {
  await t.test("the app's close code reaches the client", async t => {
    const conversation = await new Conversation(`${url}/echo/`).open()
    conversation.socket.send('close')
    t.match(await conversation.end(), { code: 4001, wasClean: true })
  })

  await t.test("the client's close code reaches the app", async t => {
    const conversation = await new Conversation(`${url}/echo/client-code`).open()
    conversation.socket.close(4002)
    await conversation.end()
    const told = await until('the app to be told', async () => {
      const { text } = await ask(web, { path: '/told/client-code' })
      return text !== 'null' && text
    })
    t.equal(told, expected)
  })
}

async function pings(t: Test, url: string): Promise<void> {
  await t.test('pings are answered', async t => {
    const script = join(import.meta.dirname, 'websocket_ping.py')
    const { stdout } = await within(
      'the pings',
      promisify(execFile)(PYTHON, [script, `${url}/echo/`]),
      60_000,
    )
    t.equal(stdout.trim(), '1000')
  })
}

async function refusals(t: Test, url: string, web: number): Promise<void> {
  await t.test('an app that refuses: its own answer', async t => {
    const refused = new Conversation(`${url}/refuse/`)
    await until('the refusal', () => refused.failed)
    const fields = [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Version', '13'],
      ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ] as const
    t.equal((await ask(web, { path: '/refuse/', fields })).status, 403)
  })

  await t.test('pages of the same app', async t => {
    t.equal((await ask(web, { path: '/page/' })).status, 200)
  })
}
