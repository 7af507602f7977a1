import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type t from 'tap'
import { Timers } from '../../lib/base/timers.ts'
import type { Address, EndpointProtocol, HealthConfig } from '../../lib/config/model.ts'
import type { Alibi, Traffic } from '../../upstreams/health/alibi.ts'
import type { Health } from '../../upstreams/health/health.ts'
import type { ProbeTarget } from '../../upstreams/health/probe-target.ts'
import { Prober } from '../../upstreams/health/prober.ts'

const HEALTH: HealthConfig = {
  kind: 'http',
  path: '/healthz',
  host: undefined,
  headers: {},
  intervalMs: 2000,
  timeoutMs: 1000,
  rise: 2,
  fall: 3,
  expect: [200],
}

/** The part of tap's `t` that is needed here. */
export type Tap = Pick<typeof t, 'teardown'>
/** One call of `onResult`. */
export interface Result {
  readonly endpoint: string
  readonly ok: boolean
  readonly durationMs: number
  readonly reason: string
  readonly alibi: Alibi | undefined
}

/** A prober whose clock stands still until the test moves it, on real sockets. */
export class Bench {
  nowMs = 1_000_000
  readonly changes: { readonly endpoint: string; readonly health: Health; readonly lastedMs: number }[] = []
  readonly results: Result[] = []
  readonly timers: Timers
  readonly prober: Prober
  random = 0.5
  /** What the prober is told when it asks. */
  serves = false
  held = false
  /** What traffic shows. */
  traffic: Traffic | undefined = undefined
  #notify = () => {}

  constructor(t: Tap) {
    const clock = { now: () => this.nowMs, wall: () => this.nowMs }
    this.timers = new Timers(clock)
    this.prober = new Prober({
      clock,
      timers: this.timers,
      random: () => this.random,
      serves: () => this.serves,
      isHeld: () => this.held,
      traffic: () => this.traffic,
      onChange: (_upstream, endpoint, health, lastedMs) => this.changes.push({ endpoint, health, lastedMs }),
      onResult: (_upstream, endpoint, probe, durationMs) => {
        const reason = probe.ok ? '' : probe.reason
        const alibi = probe.ok ? undefined : probe.alibi
        this.results.push({ endpoint, ok: probe.ok, durationMs, reason, alibi })
        this.#notify()
      },
    })
    t.teardown(() => this.prober.stop())
  }

  /** Resolves with the newest result once there are `count`. */
  async result(count: number): Promise<Result> {
    while (this.results.length < count) {
      await new Promise<void>(resolve => {
        this.#notify = resolve
      })
    }
    return this.results.at(-1) as Result
  }

  advance(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs = Math.min(endMs, this.nowMs + 50)
      this.timers.advance()
    }
  }
}

async function listen(t: Tap, server: Server, path?: string): Promise<Address> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => sockets.add(socket))
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path })
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  if (path !== undefined) return { kind: 'unix', path }
  return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

/** A server of this handler; resolves with its address. */
export const serve = (t: Tap, handler: RequestListener, path?: string) =>
  listen(t, createServer(handler), path)
/** The same on bare sockets. */
export const serveRaw = (t: Tap, handler: (socket: Socket) => void) =>
  listen(
    t,
    createTcpServer(socket => {
      socket.on('error', () => {})
      handler(socket)
    }),
  )

/** A server that takes a request and says nothing. */
export async function serveSilence(t: Tap) {
  let onAsked = () => {}
  let onClosed = () => {}
  const asked = new Promise<void>(resolve => {
    onAsked = resolve
  })
  const closed = new Promise<void>(resolve => {
    onClosed = resolve
  })
  const address = await serveRaw(t, socket => socket.once('data', onAsked).once('close', onClosed))
  return { address, asked, closed }
}

/** The endpoint `one` of the upstream `app`. */
export function target(
  address: Address,
  health: Partial<HealthConfig> = {},
  endpoint = 'one',
  protocol: EndpointProtocol = 'http1',
): ProbeTarget {
  return {
    upstream: 'app',
    endpoint,
    address,
    protocol,
    health: { ...HEALTH, ...health },
    host: 'example.com',
    foundAs: undefined,
    tls: { ca: undefined, serverName: undefined, verify: true, certificate: undefined, key: undefined },
    proxyProtocol: undefined,
  }
}
