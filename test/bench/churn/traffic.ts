import type { Running } from '../../support/causeway.ts'
import { get, post, RawClient } from '../../support/raw-client.ts'
import { RawHttp2Client } from '../../support/raw-http2-client.ts'
import { knock } from '../../support/tls-tunnels.ts'
import { openWebSocket } from '../../support/websocket-app.ts'
import type { Act } from './acts.ts'

/** What honest clients do: each kind of connection is opened, used and closed, again and again. */
export function honestTraffic(causeway: Running, authority: string): readonly Act[] {
  const web = causeway.port('web')
  const secure = { ca: authority, servername: 'example.test' }
  return [
    { name: 'keep-alive clients', restMs: 20, turn: n => requests(web, n) },
    { name: 'uploads', restMs: 200, turn: () => upload(web) },
    { name: 'large answers', restMs: 300, turn: () => asked(web, '/large') },
    { name: 'static files', restMs: 100, turn: () => asked(web, '/static/small.css') },
    { name: 'HTTP/2 clients', restMs: 100, turn: () => streams(web) },
    {
      ...{ name: 'TLS clients', restMs: 200 },
      turn: async () =>
        withClient(await RawClient.connectTls(causeway.port('secure'), secure), good('/small')),
    },
    { name: 'WebSockets', restMs: 100, turn: () => echoed(openWebSocket(web, '/socket')) },
    { name: 'tunnels', restMs: 200, turn: () => echoed(knock(causeway.port('pass'))) },
    { name: 'clients that leave', restMs: 150, turn: () => leave(web) },
  ]
}

/** Closes the client however its work ends. */
async function withClient(client: RawClient, work: (client: RawClient) => Promise<void>): Promise<void> {
  try {
    await work(client)
  } finally {
    client.destroy()
  }
}

const good = (path: string) => async (client: RawClient) => {
  client.send(get(path))
  const { status } = await client.response()
  if (status !== 200) throw new Error(`${path}: ${status}`)
}

async function asked(port: number, path: string): Promise<void> {
  await withClient(await RawClient.connect(port), good(path))
}

/** A connection with some requests on it. */
async function requests(port: number, n: number): Promise<void> {
  await withClient(await RawClient.connect(port), async client => {
    for (let i = 0; i <= n % 10; i += 1) await good('/small')(client)
  })
}

async function upload(port: number): Promise<void> {
  await withClient(await RawClient.connect(port), async client => {
    client.send(post('/echo', 'x'.repeat(200_000)))
    const { status, body } = await client.response('POST')
    if (status !== 200 || body.length !== 200_000) throw new Error(`upload: ${status}, ${body.length} bytes`)
  })
}

async function streams(port: number): Promise<void> {
  const client = await RawHttp2Client.connect(port)
  try {
    const statuses = await Promise.all(Array.from({ length: 10 }, () => client.ask('/small')))
    const bad = statuses.find(status => status !== 200)
    if (bad !== undefined) throw new Error(`HTTP/2: ${bad}`)
  } finally {
    client.destroy()
  }
}

async function echoed(opened: Promise<RawClient>): Promise<void> {
  await withClient(await opened, async client => {
    client.send('there and back')
    await client.untilReceived('there and back')
  })
}

/** In the midst of an upload, and of an answer. */
async function leave(port: number): Promise<void> {
  const [uploader, reader] = await Promise.all([RawClient.connect(port), RawClient.connect(port)])
  uploader.send(
    `POST /echo HTTP/1.1\r\nHost: example.test\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`,
  )
  reader.send(get('/large'))
  await new Promise(setImmediate)
  uploader.reset()
  reader.destroy()
}
