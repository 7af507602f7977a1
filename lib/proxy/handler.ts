import type { EndpointProtocol, UpstreamConfig } from '../config/model.ts'
import { isGrpc } from '../http/conversation.ts'
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
import type { UpstreamLink } from './upstream-link.ts'
import { WebSocketRequest } from './websocket-request.ts'

/** For the log: an app behind such an endpoint answers with whatever it says to an ordinary GET. */
const NO_SWITCH = 'a WebSocket was requested; uwsgi and HTTP/2 endpoints receive that as an ordinary request'

/** Answers exchanges through an upstream. */
export class ProxyHandler implements Handler, Collector {
  readonly #upstream: UpstreamLink
  readonly #site: ProxySite
  readonly #mirror: Mirror | undefined

  constructor(upstream: UpstreamLink, site: ProxySite, mirror?: Mirror) {
    this.#upstream = upstream
    this.#site = site
    this.#mirror = mirror
  }

  handle(exchange: Exchange): void {
    const { config } = this.#upstream.current
    exchange.record.upstream = config.name
    const { request } = exchange
    if (request.framing === 'none' || websocketKey(request) !== undefined)
      return this.#carry(exchange, undefined)
    if (config.body === 'stream' || this.#isCall(exchange))
      return this.#carry(exchange, new BodyStream(exchange))
    const { spool, env } = this.#site.room
    new BodyCollecting(exchange, spool, env.clock, this).start()
  }

  /**
   * A gRPC call may go on for hours, both sides speaking in turn: it cannot be taken whole first, unless an
   * endpoint needs its length before it.
   */
  #isCall({ request }: Exchange): boolean {
    return isGrpc(request.fields) && !speaks(this.#upstream.current.config, 'uwsgi')
  }

  /** The body of a request is here: from now on it is one like any other. */
  collected(exchange: Exchange, body: BodySource): void {
    this.#carry(exchange, body)
  }

  #carry(exchange: Exchange, body: BodySource | undefined): void {
    const upstream = this.#upstream.current
    const key = balanceKey(exchange, upstream.config)
    const websocket = websocketKey(exchange.request)
    if (websocket !== undefined && passesWebSockets(upstream.config))
      return this.#webSocket(websocket, exchange, key, body)
    if (websocket !== undefined) exchange.record.detail = NO_SWITCH
    const job = new Forwarding(exchange, key, body, this.#site)
    const copy = this.#mirror?.copyOf(exchange, job, body)
    upstream.submit(job)
    copy?.start()
  }

  #webSocket(websocket: string, exchange: Exchange, key: number, body: BodySource | undefined): void {
    const { env } = this.#site.room
    this.#upstream.current.submit(new WebSocketRequest(websocket, env, exchange, key, body, this.#site))
  }
}

/**
 * uwsgi cannot switch, and HTTP/2 not in this way: there a request for a WebSocket is an ordinary one, and
 * the app says what it thinks of it.
 */
function passesWebSockets(config: UpstreamConfig): boolean {
  return !speaks(config, 'uwsgi') && !speaks(config, 'h2') && !speaks(config, 'h2c')
}

/** Some of its endpoints speak it. */
function speaks({ endpoints, run }: UpstreamConfig, wanted: EndpointProtocol): boolean {
  return run?.protocol === wanted || endpoints.some(({ protocol }) => protocol === wanted)
}
