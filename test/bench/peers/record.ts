import { createWriteStream } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'

// Access log and counters for the two Node peers, as cheap as one would write them: lines are joined and
// written ten times a second, counters are plain numbers.

const FLUSH_MS = 100
const BUCKETS_MS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

const log = createWriteStream(process.env['ACCESS_LOG'] ?? '/dev/null', { flags: 'a' })
const requests = new Map<number, number>()
const durations = new Array<number>(BUCKETS_MS.length + 1).fill(0)
let lines = ''

setInterval(() => {
  if (lines !== '') log.write(lines)
  lines = ''
}, FLUSH_MS)

/** Counts one finished request and writes its line. */
export function record(
  req: IncomingMessage,
  res: ServerResponse,
  id: string,
  endpoint: string,
  startMs: number,
) {
  const ms = performance.now() - startMs
  const bucket = BUCKETS_MS.findIndex(bound => ms <= bound)
  const at = bucket < 0 ? BUCKETS_MS.length : bucket
  durations[at] = (durations[at] ?? 0) + 1
  requests.set(res.statusCode, (requests.get(res.statusCode) ?? 0) + 1)
  lines += `${JSON.stringify({
    time: Date.now(),
    req_id: id,
    client_ip: req.socket.remoteAddress,
    proto: req.httpVersion,
    method: req.method,
    host: req.headers.host,
    path: req.url,
    status: res.statusCode,
    dur_ms: ms,
    user_agent: req.headers['user-agent'],
    endpoint,
  })}\n`
}
