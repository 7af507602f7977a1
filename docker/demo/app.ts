import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

// A demo app worker: plain node:http, no dependencies. Causeway starts several of these and passes the
// address of each in PORT (a loopback port) or SOCKET (a path). Replace it with any server of your own.

const place = process.env['SOCKET'] ?? Number(process.env['PORT'] ?? 8000)
const placeText = typeof place === 'number' ? `port ${place}` : place
const startedAt = Date.now()
const LONGEST_DELAY_MS = 60_000

let count = 0
let stopping = false

/** `worker-1` where Causeway says so: the name that its metrics and logs use. */
const name = process.env['CAUSEWAY_WORKER'] ?? `worker ${process.pid}`
/** A colour of its own for each worker: neighbouring numbers land far apart on the wheel (golden angle). */
const number = Number(/\d+$/.exec(name)?.[0] ?? 0)
const hue = Math.round((number * 137.508 + 70) % 360)

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escapeHtml = (text: string) => text.replace(/[&<>"]/g, char => ESCAPES[char] ?? char)

function send(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // An idle connection would keep a stopping worker alive: tell the proxy to drop it.
    ...(stopping ? { connection: 'close' } : {}),
  })
  res.end(body)
}

const sendJson = (res: ServerResponse, value: unknown) =>
  send(res, 200, 'application/json', `${JSON.stringify(value)}\n`)

const facts = () => ({
  name,
  pid: process.pid,
  place: placeText,
  hue,
  requests: count,
  uptime_s: Math.round((Date.now() - startedAt) / 1000),
})

/** What the proxy told us: the fields that an app behind it lives by. */
const TOLD = ['host', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id']

function page(req: IncomingMessage): string {
  const { pid, requests, uptime_s } = facts()
  const who = escapeHtml(name)
  const told = TOLD.flatMap(name => {
    const value = req.headers[name]
    return value === undefined ? [] : [`<dt>${name}</dt><dd>${escapeHtml(String(value))}</dd>`]
  })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Causeway: ${who}</title>
<link rel="icon" href="/static/logo.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/style.css">
<script src="/static/turns.js" defer></script>
</head>
<body style="--hue: ${hue}">
<header>
  <img src="/static/logo.svg" alt="" width="44" height="44">
  <div><h1>Causeway is running</h1><p>A front server for app servers.</p></div>
</header>
<main>
  <section class="worker">
    <p class="label">This page was served by</p>
    <p class="name">${who}</p>
    <ul>
      <li><b>${escapeHtml(placeText)}</b><span>address</span></li>
      <li><b>${pid}</b><span>process</span></li>
      <li><b>${requests}</b><span>requests so far</span></li>
      <li><b>${uptime_s} s</b><span>up</span></li>
    </ul>
  </section>
  <section>
    <h2>Refresh: the workers take turns</h2>
    <p>Causeway started three of these workers, checks their health every second and distributes the requests
      among them. Reload the page, or send twelve requests in a row:</p>
    <p><button id="ask" type="button">Send 12 requests</button> <span id="turns" aria-live="polite"></span></p>
    <p class="hint">Then kill one of them with <code>kill -9 ${pid}</code> and keep refreshing: it is removed
      at once, and a new one replaces it.</p>
  </section>
  <section>
    <h2>Explore</h2>
    <ul class="links">
      <li><a href="/static/about.html">/static/about.html</a><span>a file, served without the app</span></li>
      <li><a href="/api">/api</a><span>this worker as JSON</span></li>
      <li><a href="/echo">/echo</a><span>your request as the app sees it</span></li>
      <li><a href="/slow?ms=2000">/slow?ms=2000</a><span>a slow response</span></li>
      <li><a href="http://127.0.0.1:9180/">127.0.0.1:9180</a><span>the status page: endpoints and their health</span></li>
      <li><a href="http://127.0.0.1:9180/metrics">127.0.0.1:9180/metrics</a><span>for Prometheus</span></li>
    </ul>
  </section>
  <section>
    <h2>What the app received</h2>
    <dl>${told.join('')}</dl>
  </section>
</main>
<footer>The configuration of all this is in <code>conf.d/</code>: about twenty lines.</footer>
</body>
</html>
`
}

/** The request as it arrived; a body comes back byte for byte. */
function echo(req: IncomingMessage, res: ServerResponse): void {
  const hasBody =
    req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined
  if (hasBody) {
    res.writeHead(200, { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' })
    req.pipe(res)
    return
  }
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`]
  const { rawHeaders: raw } = req
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push(`${raw[i]}: ${raw[i + 1]}`)
  send(res, 200, 'text/plain; charset=utf-8', `${lines.join('\n')}\n`)
}

async function slow(url: URL, res: ServerResponse): Promise<void> {
  const asked = Number(url.searchParams.get('ms') ?? 1000)
  const ms = Math.min(Number.isFinite(asked) ? Math.max(0, asked) : 1000, LONGEST_DELAY_MS)
  await delay(ms)
  send(res, 200, 'text/plain; charset=utf-8', `${name} took ${ms} ms\n`)
}

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const url = new URL(req.url ?? '/', 'http://demo')
  if (url.pathname === '/healthz') return send(res, 200, 'text/plain', 'ok\n') // not counted
  count += 1
  switch (url.pathname) {
    case '/':
      return send(res, 200, 'text/html; charset=utf-8', page(req))
    case '/api':
      return sendJson(res, facts())
    case '/echo':
      return echo(req, res)
    case '/slow':
      return await slow(url, res)
    default:
      return send(res, 404, 'text/plain; charset=utf-8', `no such page: ${url.pathname}\n`)
  }
}

const server = createServer((req, res) => {
  answer(req, res).catch(() => res.destroy())
})
// Longer than any proxy keeps an idle connection: the proxy closes first, so no request meets a closing
// socket.
server.keepAliveTimeout = 120_000

function stop(): void {
  if (stopping) return
  stopping = true
  server.close(() => process.exit(0))
  server.closeIdleConnections()
}

process.on('SIGTERM', stop)
process.on('SIGINT', stop)
const announce = () => process.stdout.write(`demo app ${process.pid} listens on ${placeText}\n`)
if (typeof place === 'number') server.listen(place, '127.0.0.1', announce)
else server.listen(place, announce)
