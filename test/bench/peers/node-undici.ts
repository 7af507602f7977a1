import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'
import { record } from './record.ts'
import { type Choice, pick } from './two-choices.ts'

// The peer `node-undici`: arguments are its port and the ports of the upstream.
const [port, ...upstreams] = process.argv.slice(2).map(Number)
const pools = upstreams.map(
  (to): Choice<Pool> => ({
    name: `127.0.0.1:${to}`,
    target: new Pool(`http://127.0.0.1:${to}`, { connections: 64, keepAliveTimeout: 60_000 }),
    inflight: 0,
  }),
)
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te', 'trailer'])

function fieldsFor(req: IncomingMessage, id: string): string[] {
  const fields: string[] = []
  for (let i = 0; i + 1 < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string
    if (!HOP_BY_HOP.has(name.toLowerCase())) fields.push(name, req.rawHeaders[i + 1] as string)
  }
  fields.push(
    'x-request-id',
    id,
    'x-forwarded-for',
    req.socket.remoteAddress ?? '',
    'x-forwarded-proto',
    'http',
  )
  fields.push('x-forwarded-host', req.headers.host ?? '', 'x-forwarded-port', String(port))
  return fields
}

function forward(req: IncomingMessage, res: ServerResponse): void {
  const start = performance.now()
  const id = randomUUID()
  const choice = pick(pools)
  choice.inflight += 1
  const end = () => {
    choice.inflight -= 1
    record(req, res, id, choice.name, start)
  }
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => {},
    onResponseStart: (controller, status, headers) => {
      res.on('drain', () => controller.resume())
      for (const name in headers) {
        if (!HOP_BY_HOP.has(name)) res.setHeader(name, headers[name] as string)
      }
      res.writeHead(status)
    },
    onResponseData: (controller, chunk) => {
      if (!res.write(chunk)) controller.pause()
    },
    onResponseEnd: () => {
      res.end()
      end()
    },
    onResponseError: () => {
      res.destroy()
      end()
    },
  }
  const hasBody =
    req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined
  const { method = 'GET', url: path = '/' } = req
  choice.target.dispatch(
    {
      method: method as Dispatcher.HttpMethod,
      path,
      headers: fieldsFor(req, id),
      body: hasBody ? req : null,
    },
    handler,
  )
}

const server = createServer(forward)
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1', 4096)
process.on('SIGTERM', () => process.exit(0))
