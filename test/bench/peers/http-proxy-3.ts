import { randomUUID } from 'node:crypto'
import { Agent, createServer } from 'node:http'
import { createProxyServer } from 'http-proxy-3'
import { record } from './record.ts'
import { type Choice, pick } from './two-choices.ts'

// The peer `http-proxy-3`: arguments are its port and the ports of the upstream.
const [port, ...upstreams] = process.argv.slice(2).map(Number)
const targets = upstreams.map(
  (to): Choice<string> => ({
    name: `127.0.0.1:${to}`,
    target: `http://127.0.0.1:${to}`,
    inflight: 0,
  }),
)
const proxy = createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets: 64 }), xfwd: true })
proxy.on('error', (_error, _req, res) => res.destroy())

const server = createServer((req, res) => {
  const start = performance.now()
  const id = randomUUID()
  req.headers['x-request-id'] = id
  const choice = pick(targets)
  choice.inflight += 1
  res.on('close', () => {
    choice.inflight -= 1
    record(req, res, id, choice.name, start)
  })
  proxy.web(req, res, { target: choice.target })
})
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1', 4096)
process.on('SIGTERM', () => process.exit(0))
