import type { Upstream } from '../../upstreams/upstream.ts'
import type { UpstreamConfig } from '../config/model.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Handler } from '../http/handler.ts'
import { websocketKey } from '../http/websocket.ts'
import { balanceKey } from './balance-key.ts'
import { BodyCollecting, type Collector } from './body-collecting.ts'
import type { BodySource } from './body-source.ts'
import { BodyStream } from './body-stream.ts'
import { Forwarding } from './forwarding.ts'
import type { Mirror } from './mirror.ts'
import type { ProxySite } from './site.ts'
import { TunnelRequest } from './tunnel-request.ts'

/** Answers exchanges through an upstream. */
export class ProxyHandler implements Handler, Collector {
  readonly #upstream: Upstream
  readonly #site: ProxySite
  readonly #mirror: Mirror | undefined
  /** uwsgi cannot switch: there a request for a WebSocket is an ordinary one, and the app says what it thinks of it. */
  readonly #tunnels: boolean

  constructor(upstream: Upstream, site: ProxySite, mirror?: Mirror) {
    this.#upstream = upstream
    this.#tunnels = canTunnel(upstream.config)
    this.#site = site
    this.#mirror = mirror
  }

  handle(exchange: Exchange): void {
    const { config } = this.#upstream
    exchange.record.upstream = config.name
    if (exchange.request.framing === 'none') return this.#carry(exchange, undefined)
    if (config.body === 'stream') return this.#carry(exchange, new BodyStream(exchange))
    const { spool, env } = this.#site.room
    new BodyCollecting(exchange, spool, env.clock, this).start()
  }

  /** The body of a request is here: from now on it is one like any other. */
  collected(exchange: Exchange, body: BodySource): void {
    this.#carry(exchange, body)
  }

  #carry(exchange: Exchange, body: BodySource | undefined): void {
    const key = balanceKey(exchange, this.#upstream.config)
    const websocket = this.#tunnels ? websocketKey(exchange.request) : undefined
    if (websocket !== undefined) return this.#tunnel(websocket, exchange, key, body)
    const job = new Forwarding(exchange, key, body, this.#site)
    const copy = this.#mirror?.copyOf(exchange, job, body)
    this.#upstream.submit(job)
    copy?.start()
  }

  #tunnel(websocket: string, exchange: Exchange, key: number, body: BodySource | undefined): void {
    const { env } = this.#site.room
    this.#upstream.submit(new TunnelRequest(websocket, env, exchange, key, body, this.#site))
  }
}

function canTunnel({ endpoints, run }: UpstreamConfig): boolean {
  return endpoints.every(({ protocol }) => protocol === 'http1') && run?.protocol !== 'uwsgi'
}
