import { hashKey } from '../../upstreams/balancer/key-hash.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import type { HashKey, UpstreamConfig } from '../config/model.ts'
import { cookieNamed } from '../http/cookies.ts'
import type { Exchange } from '../http/exchange.ts'
import type { FieldList } from '../http/field-list.ts'
import type { Handler } from '../http/handler.ts'
import { websocketKey } from '../http/websocket.ts'
import { BodyCollecting, type Collector } from './body-collecting.ts'
import type { BodySource } from './body-source.ts'
import { BodyStream } from './body-stream.ts'
import { Forwarding } from './forwarding.ts'
import type { ProxySite } from './site.ts'
import { TunnelRequest } from './tunnel-request.ts'

/** Answers exchanges through an upstream. */
export class ProxyHandler implements Handler, Collector {
  readonly #upstream: Upstream
  readonly #site: ProxySite
  /** uwsgi cannot switch: there a request for a WebSocket is an ordinary one, and the app says what it thinks of it. */
  readonly #tunnels: boolean

  constructor(upstream: Upstream, site: ProxySite) {
    this.#upstream = upstream
    this.#tunnels = canTunnel(upstream.config)
    this.#site = site
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
    const { config } = this.#upstream
    const key = config.balance === 'hash' ? hashKey(keyText(exchange, config.hashOn)) : 0
    const websocket = this.#tunnels ? websocketKey(exchange.request) : undefined
    if (websocket === undefined) this.#upstream.submit(new Forwarding(exchange, key, body, this.#site))
    else
      this.#upstream.submit(
        new TunnelRequest(websocket, this.#site.room.env, exchange, key, body, this.#site),
      )
  }
}

function canTunnel({ endpoints, run }: UpstreamConfig): boolean {
  return endpoints.every(({ protocol }) => protocol === 'http1') && run?.protocol !== 'uwsgi'
}

/** What the request is told apart by; without the field or cookie all requests are one. */
function keyText(exchange: Exchange, hashOn: HashKey): string {
  switch (hashOn.on) {
    case 'client-ip':
      return exchange.origin.clientIp
    case 'uri':
      return exchange.request.target
    case 'header':
      return fieldNamed(exchange.request.fields, hashOn.name)
    case 'cookie':
      return cookieNamed(exchange.request.fields, hashOn.name)
  }
}

function fieldNamed(fields: FieldList, name: string): string {
  const wanted = name.toLowerCase()
  for (let i = 0; i < fields.count; i += 1) {
    if (fields.name(i).toLowerCase() === wanted) return fields.value(i)
  }
  return ''
}
