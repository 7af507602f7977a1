import { Agent } from 'node:http'
import t, { type Test } from 'tap'
import { freePorts } from '../bench/ports.ts'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { type AppServer, ask, missing, PYTHON, startAsgi, startServer } from './support.ts'

// App servers of Debian that write head and body apart, without TCP_NODELAY. That they do is theirs to
// change: then the line does not come. The page is one that reads the request whole: hypercorn closes behind
// others.

t.setTimeout(240_000)
const MOST_ROUNDS = 100

t.test(
  'uvicorn --workers 2 on asyncio: requests take new connections, and log and status say why',
  { skip: missing('uvicorn') },
  async t => {
    // With several workers it does not say which port it has chosen.
    const [port = 0] = await freePorts(1)
    const args = ['--host', '127.0.0.1', '--port', String(port), '--workers', '2', '--loop', 'asyncio']
    const started = /server process \[(\d+)\].*startup complete.*startup complete/s
    await startServer(t, [PYTHON, '-m', 'uvicorn', ...args, 'asgi_app:app'], {}, started)
    await leavesUsed(t, port)
  },
)

t.test('hypercorn over HTTP/1.1: the same', { skip: missing('hypercorn') }, async t => {
  await leavesUsed(t, (await startHypercorn(t)).port)
})

t.test('hypercorn over h2c: the connection stays', { skip: missing('hypercorn') }, async t => {
  const hypercorn = await startHypercorn(t)
  const causeway = await before(t, `h2c://127.0.0.1:${hypercorn.port}`)
  await stalls(causeway)
  const reuses = async () => (await causeway.metrics()).sum('causeway_upstream_connection_reuses_total')
  const first = await reuses()
  await round(causeway)
  t.ok((await reuses()) > first)
})

t.test('one uvicorn worker: its connections are kept', { skip: missing('uvicorn') }, async t => {
  const uvicorn = await startAsgi(t, ['--loop', 'asyncio'])
  const causeway = await before(t, `127.0.0.1:${uvicorn.port}`)
  for (let n = 0; n < 30; n += 1) await round(causeway)
  t.notOk(said(causeway))
})

async function startHypercorn(t: Test): Promise<AppServer> {
  const command = [PYTHON, '-m', 'hypercorn', '--bind', '127.0.0.1:0', 'asgi_app:app'] as const
  return startServer(t, command, {}, /Running on http:\/\/127\.0\.0\.1:(\d+)/)
}

async function before(t: Test, endpoint: string): Promise<Running> {
  return startCauseway(t, { config: configText({ endpoints: [endpoint] }) })
}

async function leavesUsed(t: Test, port: number): Promise<void> {
  const causeway = await before(t, `127.0.0.1:${port}`)
  await stalls(causeway)
  const line = await causeway.line('endpoint stalls', ({ msg }) => msg === 'endpoint stalls')
  t.match(line, { upstream: 'app', reason: /each request now uses a new connection/, remedy: /uvloop/ })
  const status = await (await fetch(`${causeway.adminUrl}/status`)).json()
  t.match(status, { upstreams: [{ endpoints: [{ state: 'up', note: /40 ms late/ }] }] })
  await causeway.metric('causeway_upstream_connections', { state: 'idle' }, count => count === 0)
  const reuses = async () => (await causeway.metrics()).sum('causeway_upstream_connection_reuses_total')
  const first = await reuses()
  await round(causeway)
  t.equal(await reuses(), first)
}

/** Keeps it busy until it has been found out. */
async function stalls(causeway: Running): Promise<void> {
  for (let n = 0; n < MOST_ROUNDS && !said(causeway); n += 1) await round(causeway)
  await causeway.line('endpoint stalls', ({ msg }) => msg === 'endpoint stalls')
}

function said(causeway: Running): boolean {
  return causeway.lines.some(({ msg }) => msg === 'endpoint stalls')
}

/** Eight lanes, a few requests each, one right behind the other. */
async function round(causeway: Running): Promise<void> {
  const lane = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let n = 0; n < 5; n += 1) await ask(causeway.port(), { path: '/upload/', agent })
    agent.destroy()
  }
  await Promise.all(Array.from({ length: 8 }, lane))
}
