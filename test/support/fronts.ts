import { createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import { HttpDate } from '../../lib/base/clock.ts'
import type { ListenerConfig } from '../../lib/config/model.ts'
import { ClientMemory } from '../../lib/front/connection/client-memory.ts'
import type { ClientConnection, ConnectionHost } from '../../lib/front/connection/connection-host.ts'
import { IdleList } from '../../lib/front/connection/idle-list.ts'
import { ResetTable } from '../../lib/front/connection/reset-table.ts'
import { Http1Connection } from '../../lib/front/http1/http1-connection.ts'
import { Http2Connection } from '../../lib/front/http2/http2-connection.ts'
import { parseCidrs } from '../../lib/http/cidr.ts'
import type { ClientFacts } from '../../lib/http/client-facts.ts'
import type { Exchange, ExchangeFacts } from '../../lib/http/exchange.ts'
import { RequestIds } from '../../lib/http/request-ids.ts'
import { HandClock, threadEnv } from './static-site.ts'
import { until } from './until.ts'

export const CLIENT: ClientFacts = {
  peerAddress: '127.0.0.1',
  peerPort: 50000,
  trusted: false,
  listener: 'web',
  scheme: 'http',
  localAddress: '127.0.0.1',
  localPort: 8080,
  tls: undefined,
}

/** Most bytes of a request body there. */
export const BODY_LIMIT = 1_000_000

/**
 * One protocol's side towards clients, alone: real connections to a port, and `route` in place of all that
 * stands behind them.
 */
export interface Front {
  readonly port: number
  /** Exchanges and refusals that are over. */
  readonly ended: ExchangeFacts[]
  readonly memory: ClientMemory
}

/** Until the test ends, and then until the connections that it has closed are gone. */
export async function startFront(
  t: Test,
  protocol: 'http1' | 'http2',
  route: (exchange: Exchange) => void,
  client: Partial<ClientFacts> = {},
): Promise<Front> {
  const clock = new HandClock()
  const ended: ExchangeFacts[] = []
  const open = new Set<ClientConnection>()
  const memory = new ClientMemory()
  const config = {
    limits: { streams: 100, headersBytes: 32_768, headerCount: 100, bodyBytes: BODY_LIMIT },
    timeouts: { bodyMs: 30_000, headerMs: 10_000, keepaliveMs: 60_000, writeMs: 60_000, minRateBytes: 0 },
  } as ListenerConfig
  const env = threadEnv(clock)
  const host: ConnectionHost = {
    env,
    config,
    headLimits: { headersBytes: 32_768, headerCount: 100, targetBytes: 8192 },
    trusted: parseCidrs([]),
    date: new HttpDate(clock),
    requestIds: new RequestIds(),
    memory,
    idle: new IdleList(env.cells, 0),
    resets: new ResetTable(),
    draining: false,
    route,
    exchangeBegan: () => {},
    exchangeEnded: facts => ended.push(facts),
    refused: facts => ended.push(facts),
    tunnelEnded: () => {},
    closed: connection => open.delete(connection),
  }
  const Connection = protocol === 'http1' ? Http1Connection : Http2Connection
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket: Socket) =>
    open.add(new Connection(socket, { ...CLIENT, ...client }, host)),
  )
  await new Promise<void>(done => server.listen(0, '127.0.0.1', () => done()))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  t.teardown(async () => {
    await until('the connections to end', () => open.size === 0)
    server.close()
  })
  return { ended, memory, port }
}
