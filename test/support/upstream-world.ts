import type { Test } from 'tap'
import { CellColumn, CellReader, createCellMemory } from '../../lib/base/cells.ts'
import { systemClock } from '../../lib/base/clock.ts'
import { type DescriptorLimits, Descriptors } from '../../lib/base/descriptors.ts'
import type { ErrorCode } from '../../lib/base/errors.ts'
import { createSharedState, SharedState } from '../../lib/base/shared-state.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import { Timers } from '../../lib/base/timers.ts'
import type { UpstreamConfig } from '../../lib/config/model.ts'
import type { FieldList } from '../../lib/http/field-list.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import { ExchangeRecord } from '../../lib/http/record.ts'
import { proxyHeaderV1, proxyHeaderV2 } from '../../lib/wire/proxy-protocol.ts'
import { type PacketRefusal, uwsgiPacket } from '../../lib/wire/uwsgi-packet.ts'
import type { Attempt, Job, WaitingLine } from '../../upstreams/job.ts'
import { ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../../upstreams/measures.ts'
import { Upstream, type UpstreamPlacement } from '../../upstreams/upstream.ts'
import { within } from './until.ts'

export type End = number | ErrorCode

/** A request without a client. */
export class TestJob implements Job {
  readonly method: string
  readonly idempotent: boolean
  readonly headText: string
  bodyFraming: Job['bodyFraming']
  isUpload = false
  repeatable = true
  readonly key = 0
  siblings = 1
  readonly record = new ExchangeRecord('test', 0)
  readonly name: string
  line: WaitingLine | undefined = undefined
  attempt: Attempt | undefined = undefined
  /** Called in the turn of the end, as a pipelined request would be. */
  afterwards: (() => void) | undefined = undefined
  /** For the uwsgi form only: makes the packet as large as wanted. */
  cookie = ''
  /** Further fields of an HTTP/2 request. */
  more: readonly string[] = []
  /** Why it failed, in words. */
  detail = ''
  /** The body of its answer as far as it has come, in latin1. */
  received = ''
  readonly #body: Buffer | undefined
  readonly #end = Promise.withResolvers<End>()
  #status = 0

  constructor(path: string, body?: Buffer, method = body === undefined ? 'GET' : 'POST') {
    this.name = path
    this.#body = body
    this.method = method
    this.idempotent = method !== 'POST'
    this.bodyFraming = body === undefined ? 'none' : 'length'
    const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`
    this.headText = `${this.method} ${path} HTTP/1.1\r\nHost: example.test\r\n${length}\r\n`
  }

  /** The status, or why it failed. */
  async end(): Promise<End> {
    return within(`the end of ${this.name}`, this.#end.promise)
  }

  leave(): void {
    this.line?.withdraw(this)
    this.attempt?.cancel()
  }

  priority: Job['priority'] = 'normal'
  wanted: string | undefined = undefined
  tried: Job['tried'] = undefined
  unsent = 0

  waitsIn(line: WaitingLine | undefined): void {
    this.line = line
  }

  attempting(attempt: Attempt): void {
    this.attempt = attempt
  }

  bodyWanted(): void {
    if (this.#body === undefined) return
    this.repeatable = false
    this.attempt?.sendBody(this.#body, 0, this.#body.length)
    this.attempt?.endBody()
  }

  uwsgiPacket(): string | PacketRefusal {
    return uwsgiPacket([
      ['REQUEST_METHOD', this.method],
      ['PATH_INFO', this.name],
      ['CONTENT_LENGTH', this.#body === undefined ? '' : String(this.#body.length)],
      ['HTTP_COOKIE', this.cookie],
    ])
  }

  http2Fields(scheme: 'http' | 'https'): string[] {
    const length = this.#body === undefined ? [] : ['content-length', String(this.#body.length)]
    const pseudo = [':method', this.method, ':scheme', scheme, ':path', this.name]
    return [...pseudo, ':authority', 'example.test', ...this.more, ...length]
  }

  proxyHeader(version: 'v1' | 'v2'): string {
    const [source, destination] = [
      { address: '192.0.2.7', port: 4711 },
      { address: '192.0.2.1', port: 443 },
    ]
    return version === 'v1'
      ? proxyHeaderV1(source, destination)
      : proxyHeaderV2(source, destination).toString('latin1')
  }

  sendDrained(): void {}
  informed(_head: ResponseHead): void {}

  answered(head: ResponseHead): void {
    this.#status = head.status
  }

  answerBytes(bytes: Uint8Array, start: number, end: number): boolean {
    this.received += Buffer.from(bytes.subarray(start, end)).toString('latin1')
    return true
  }

  answerFlush(): void {}

  answerEnd(_trailers?: FieldList): void {
    this.#end.resolve(this.#status)
    this.afterwards?.()
  }

  failed(code: ErrorCode, detail: string): void {
    this.detail = detail
    this.#end.resolve(code)
    this.afterwards?.()
  }
}

/** One process: what its threads share. */
export class Process {
  readonly cells = createCellMemory(2, 4096)
  readonly shared = createSharedState(2)
  readonly ejected: string[] = []
  readonly unreachable: string[] = []
  readonly suspects: string[] = []
  readonly stalls: string[] = []
  /** Of the process that it plays; undefined: as many as it likes. */
  descriptorLimits: DescriptorLimits | undefined = undefined
  readonly #names: string[] = []
  readonly #t: Test

  constructor(t: Test) {
    this.#t = t
  }

  env(thread: number): ThreadEnv {
    const timers = new Timers(systemClock)
    timers.start()
    this.#t.teardown(() => timers.stop())
    const shared = new SharedState(this.shared)
    return {
      clock: systemClock,
      timers,
      cells: new CellColumn(this.cells, thread),
      shared,
      descriptors: new Descriptors(shared, thread, this.descriptorLimits),
      thread,
      random: Math.random,
    }
  }

  upstream(env: ThreadEnv, config: UpstreamConfig, previous?: Upstream): Upstream {
    return new Upstream(config, this.#placementOf(config), env, this.#observer, previous)
  }

  inflight(endpoint = 0): number {
    return new SharedState(this.shared).inflight(endpoint)
  }

  /** Requests whose client left and whose slot stayed taken, so far. */
  abandoned(): number {
    return this.#endpointCells(ENDPOINT_BLOCK.at.abandoned)
  }

  /** Of them now. */
  abandonedNow(): number {
    return this.#endpointCells(ENDPOINT_BLOCK.at.abandonedNow)
  }

  /** Connections that wait for a request now. */
  resting(): number {
    return this.#endpointCells(ENDPOINT_BLOCK.at.idle)
  }

  /** Every gauge of every thread; all must be 0 in the end. */
  gauges(): number[] {
    return [0, 1].flatMap(thread => {
      const cells = new CellColumn(this.cells, thread)
      const { inflight, active } = ENDPOINT_BLOCK.at
      const ofEndpoints = [0, 1, 2].flatMap(n => [inflight, active].map(at => cells.get(endpointRow(n) + at)))
      return [...ofEndpoints, cells.get(UPSTREAM_BLOCK.at.queueDepth)]
    })
  }

  /** A cell of the first endpoint, over both threads. */
  #endpointCells(at: number): number {
    return new CellReader(this.cells).total(endpointRow(0) + at)
  }

  /** The first address seen gets the first place. */
  #placementOf(config: UpstreamConfig): UpstreamPlacement {
    const endpoints = config.endpoints.map(({ name }) => {
      if (!this.#names.includes(name)) this.#names.push(name)
      const n = this.#names.indexOf(name)
      return { index: n, row: endpointRow(n) }
    })
    return { index: 0, row: 0, endpoints }
  }

  readonly #observer = {
    endpointEjected: (_upstream: string, endpoint: string) => {
      this.ejected.push(endpoint)
    },
    endpointUnreachable: (_upstream: string, endpoint: string) => {
      this.unreachable.push(endpoint)
    },
    endpointSuspect: (_upstream: string, endpoint: string) => {
      this.suspects.push(endpoint)
    },
    endpointStalls: (_upstream: string, endpoint: string) => {
      this.stalls.push(endpoint)
    },
  }
}

function endpointRow(n: number): number {
  return UPSTREAM_BLOCK.size + n * ENDPOINT_BLOCK.size
}

/** Nothing is ejected for what traffic shows. */
export const PASSIVE: UpstreamConfig['passive'] = {
  failures: 0,
  failureRateShare: 0,
  latencyFactor: 0,
  ejectMs: 10_000,
  maxEjectedShare: 0.5,
  panicShare: 0.5,
}

export function configOf(apps: readonly number[], changes: Partial<UpstreamConfig> = {}): UpstreamConfig {
  return {
    name: 'app',
    endpoints: apps.map(port => ({
      name: `127.0.0.1:${port}`,
      address: { kind: 'tcp', host: '127.0.0.1', port },
      protocol: 'http1',
      weight: 1,
      backup: false,
    })),
    names: [],
    endpointsFile: undefined,
    discovery: { intervalMs: 5_000, family: 'auto' },
    run: undefined,
    balance: 'round-robin',
    hashOn: { on: 'client-ip' },
    maxInflight: 0,
    adaptive: { mode: 'off', min: 4, max: 1000 },
    abandoned: 'close',
    slowStartMs: 0,
    sticky: undefined,
    queue: { length: 100, timeoutMs: 5_000 },
    health: undefined,
    timeouts: { connectMs: 1_000, responseMs: 5_000, idleMs: 5_000, tunnelMs: 5_000 },
    body: 'stream',
    readAheadBytes: 0,
    server: 'auto',
    tls: { ca: undefined, serverName: undefined, verify: true, certificate: undefined, key: undefined },
    proxyProtocol: undefined,
    keepalive: { idleMs: 60_000, max: 128 },
    retry: { attempts: 2, budgetShare: 0.2, statuses: [] },
    passive: PASSIVE,
    ...changes,
  }
}
