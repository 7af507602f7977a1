import { setTimeout as delay } from 'node:timers/promises'
import type { Running } from '../../support/causeway.ts'
import { indexed, remembered, requestBlock } from '../../support/http2-fields.ts'
import { FLOODS, NEVER, pour } from '../../support/http2-floods.ts'
import { data, FLAG, headers, SETTING } from '../../support/http2-frames.ts'
import { get, RawClient } from '../../support/raw-client.ts'
import { RawHttp2Client } from '../../support/raw-http2-client.ts'
import type { Act } from './acts.ts'

/** How long an attack holds what it has opened. */
const HOLD_MS = 8000
/** The newest entry of the dynamic table (RFC 7541 2.3.3). */
const NEWEST = 62
/** Just below the table's 4,096 bytes, the entry's own 32 included (RFC 7541 4.1). */
const LARGE_FIELD = 'v'.repeat(3900)
const REFERENCES = 7

interface Attack {
  readonly name: string
  run(causeway: Running): Promise<void>
}

const port = (causeway: Running) => causeway.port('web')
const several = <T>(count: number, one: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => one(i)))

/** Opens, holds for a while, and lets go. */
async function held<T extends { destroy(): void }>(opened: Promise<T[]>, holdMs = HOLD_MS): Promise<void> {
  const clients = await opened
  await delay(holdMs)
  for (const client of clients) client.destroy()
}

/** Every attack of the list, one after the other; each is over before the next begins. */
const ATTACKS: readonly Attack[] = [
  { name: 'heads held by closed windows', run: it => held(several(20, () => headsHeld(port(it)))) },
  {
    name: 'DATA of one byte',
    run: it =>
      held(
        several(2, () => tinyData(port(it))),
        1000,
      ),
  },
  { name: 'refused heads that stay', run: it => held(several(50, () => refusedHeads(port(it)))) },
  {
    name: 'static streams that nobody reads',
    run: it => held(several(5, () => unread(port(it), '/static/large.bin'))),
  },
  { name: 'half-sent uploads', run: it => held(several(300, () => halfSent(port(it)))) },
  { name: 'slow readers', run: it => held(several(200, () => slowReader(port(it)))) },
  { name: 'idle connections', run: it => held(several(300, () => RawClient.connect(port(it)))) },
  {
    name: 'garbage',
    run: it =>
      held(
        several(100, i => garbage(port(it), i)),
        500,
      ),
  },
  { name: 'half handshakes', run: it => held(several(100, () => halfHandshake(it.port('secure')))) },
  {
    name: 'half-open admin clients',
    run: it => held(several(100, () => halfOpen(Number(new URL(it.adminUrl).port)))),
  },
  ...FLOODS.map(flood => ({
    name: flood.name,
    async run(it: Running) {
      const client = await RawHttp2Client.connect(port(it))
      try {
        await pour(client, flood)
      } finally {
        client.destroy()
      }
    },
  })),
]

/** The attacks by turns. */
export function attacksOn(causeway: Running): Act {
  return {
    ...{ name: 'attacks', restMs: 4000 },
    async turn(n) {
      const attack = ATTACKS[n % ATTACKS.length]
      if (attack === undefined) return
      try {
        await attack.run(causeway)
      } catch (error) {
        throw new Error(`${attack.name}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        })
      }
    },
  }
}

async function headsHeld(to: number): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.connect(to, [[SETTING.initialWindowSize, 0]])
  const references = Array.from({ length: REFERENCES }, () => indexed(NEWEST))
  client.get('/small', remembered('x-large', LARGE_FIELD))
  for (let i = 1; i < 100; i += 1) client.get('/small', ...references)
  return client
}

async function tinyData(to: number): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.connect(to)
  const stream = client.stream()
  client.send(headers(stream, requestBlock('POST', '/echo'), FLAG.endHeaders))
  const byte = data(stream, Buffer.from('x'))
  for (let i = 0; i < 300 && client.ended === undefined; i += 1) {
    client.send(...Array.from({ length: 100 }, () => byte))
    await client.untilRoom()
  }
  return client
}

/** Without an authority, on a connection whose windows are closed. */
async function refusedHeads(to: number): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.connect(to, [[SETTING.initialWindowSize, 0]])
  const GET_WITHOUT_AUTHORITY = Buffer.concat([indexed(2), indexed(6), indexed(4)])
  client.send(headers(client.stream(), GET_WITHOUT_AUTHORITY, FLAG.endHeaders | FLAG.endStream))
  return client
}

async function unread(to: number, path: string): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.connect(to, [[SETTING.initialWindowSize, 1000]])
  for (let i = 0; i < 100; i += 1) client.get(path)
  return client
}

async function halfSent(to: number): Promise<RawClient> {
  const client = await RawClient.connect(to)
  client.send(
    `POST /echo HTTP/1.1\r\nHost: example.test\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(131_072)}`,
  )
  return client
}

async function slowReader(to: number): Promise<RawClient> {
  const client = await RawClient.connect(to)
  client.stall()
  client.send(get('/large'))
  return client
}

async function garbage(to: number, i: number): Promise<RawClient> {
  const client = await RawClient.connect(to)
  const texts = [
    '\0\0\0\0',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    `${'A'.repeat(70_000)}`,
    `GET ${NEVER} HTTP/9.9\r\n\r\n`,
  ]
  client.send(texts[i % texts.length] as string)
  return client
}

/** The first bytes of a ClientHello (RFC 8446 5.1), and no more. */
async function halfHandshake(to: number): Promise<RawClient> {
  const client = await RawClient.connect(to)
  client.send(Buffer.from([22, 3, 1, 2, 0, 1, 0]))
  return client
}

/** One byte, then silence; its own half stays open when the other side ends. */
async function halfOpen(to: number): Promise<RawClient> {
  const client = await RawClient.connect(to)
  client.send('G')
  return client
}
