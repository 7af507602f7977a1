import t, { type Test } from 'tap'
import type { ErrorCode } from '../lib/base/errors.ts'
import type { ClientFacts } from '../lib/http/client-facts.ts'
import { ExchangeRecord } from '../lib/http/record.ts'
import { Tunnel, type TunnelClient } from '../lib/proxy/tunnel.ts'
import { startPlain } from './support/tls-app.ts'
import { echo, HELLO } from './support/tls-tunnels.ts'
import { until } from './support/until.ts'
import { configOf, Process } from './support/upstream-world.ts'

/** A client without a socket: keeps what it is told. */
class TestClient implements TunnelClient {
  readonly record = new ExchangeRecord('test', 0)
  readonly client: ClientFacts
  received = ''
  paused = false
  /** `end`, or why it failed. */
  over: 'end' | ErrorCode | undefined = undefined
  detail = ''

  constructor(peerAddress = '192.0.2.7') {
    this.client = {
      peerAddress,
      peerPort: 4711,
      trusted: false,
      listener: 'web',
      scheme: 'http',
      localAddress: '192.0.2.1',
      localPort: 443,
      tls: undefined,
    }
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    this.received += Buffer.from(bytes.subarray(start, end)).toString('latin1')
    return true
  }

  endOutput(): void {}

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  end(): void {
    this.over = 'end'
  }

  fail(code: ErrorCode, detail: string): void {
    this.over = code
    this.detail = detail
  }
}

function world(t: Test, apps: readonly number[], changes: Parameters<typeof configOf>[1] = {}) {
  const process = new Process(t)
  const env = process.env(0)
  const upstream = process.upstream(env, configOf(apps, changes))
  const tunnel = (client = new TestClient()) => ({ client, tunnel: new Tunnel(client, upstream, env) })
  return { process, tunnel }
}

t.test('what a client sends ahead waits for an endpoint, up to a cap, and comes in its order', async t => {
  const port = await startPlain(t, echo)
  const { tunnel: open, process } = world(t, [port], { maxInflight: 1 })
  const [first, second] = [open(), open()]
  first.tunnel.take(HELLO, 0, HELLO.length)
  first.tunnel.start()
  await until('the first', () => first.client.received.length === HELLO.length)
  second.tunnel.take(HELLO, 0, HELLO.length)
  second.tunnel.start()
  const early = Buffer.from('early '.repeat(5000))
  for (let i = 0; i < 3; i += 1) second.tunnel.take(early, 0, early.length)
  t.equal(second.client.paused, false)
  second.tunnel.take(early, 0, early.length)
  t.equal(second.client.paused, true, 'no more is taken from it')
  first.tunnel.clientGone()
  const all = HELLO.toString('latin1') + 'early '.repeat(20_000)
  await until('all of it', () => second.client.received.length >= all.length)
  t.equal(second.client.received, all)
  t.equal(second.client.paused, false)
  second.tunnel.inputEnded()
  await until('the end', () => second.client.over === 'end')
  t.ok(process.gauges().every(gauge => gauge === 0))
})

t.test('a client that half-closes while it waits has left', async t => {
  const port = await startPlain(t, echo)
  const { tunnel: open, process } = world(t, [port], { maxInflight: 1 })
  const [first, second] = [open(), open()]
  for (const { tunnel } of [first, second]) tunnel.start()
  second.tunnel.inputEnded()
  t.equal(second.client.over, 'CLIENT_GONE')
  first.tunnel.clientGone()
  t.ok(process.gauges().every(gauge => gauge === 0))
  t.equal(process.inflight(), 0)
})

t.test('balance = "hash" goes by the address of the client, whatever hash_on says', async t => {
  const ports = await Promise.all([1, 2, 3].map(async () => startPlain(t, echo)))
  const { tunnel: open } = world(t, ports, { balance: 'hash', hashOn: { on: 'uri' } })
  const endpointOf = (address: string) => {
    const { client, tunnel } = open(new TestClient(address))
    tunnel.start()
    tunnel.clientGone()
    return client.record.endpoint
  }
  const addresses = Array.from({ length: 30 }, (_, i) => `192.0.2.${i}`)
  const endpoints = addresses.map(endpointOf)
  t.same(addresses.map(endpointOf), endpoints, 'each stays where it was')
  t.equal(new Set(endpoints).size, 3, 'and they are spread')
})

t.test('an endpoint that came later and is spoken to in TLS gets nothing', async t => {
  const port = await startPlain(t, echo)
  const { endpoints } = configOf([port])
  const secure = endpoints.map(endpoint => ({ ...endpoint, protocol: 'https' as const }))
  const { tunnel: open, process } = world(t, [port], { endpoints: secure })
  const { client, tunnel } = open()
  tunnel.start()
  t.equal(client.over, 'UPSTREAM_BAD')
  t.match(client.detail, /a tunnel forwards bytes unchanged, but .* uses https/)
  t.equal(process.inflight(), 0)
})
