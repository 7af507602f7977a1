import { ChunkedDecoder, type ChunkSink } from '../../lib/wire/chunked.ts'
import { readRequestHead } from '../../lib/wire/request-head.ts'
import { readResponseHead } from '../../lib/wire/response-head.ts'

// What the wire costs by itself: `node test/bench/micro-wire.ts`, with --cpu-prof to see where.

const LIMITS = { headersBytes: 32 * 1024, headerCount: 100, targetBytes: 8 * 1024 }
const ROUNDS = 20
const RUNS = 50_000

/** What Firefox sends for a page of a site with a session. */
const BROWSER = [
  'GET /polls/17/results/?page=2&sort=votes HTTP/1.1',
  'Host: polls.example.com:8080',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Accept-Language: en-GB,en;q=0.7,de;q=0.3',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Referer: http://polls.example.com:8080/polls/17/',
  'Connection: keep-alive',
  'Cookie: csrftoken=Zk3q9VbYwq2mH0sYtN4uJ6fR8xL1cD5e; sessionid=8w1o5n3k7j2h4g6f9d0s1a3q5w7e9r2t',
  'Upgrade-Insecure-Requests: 1',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-Site: same-origin',
  'Sec-Fetch-User: ?1',
  'Priority: u=0, i',
  'Cache-Control: max-age=0',
].join('\r\n')

const ANSWER = [
  'HTTP/1.1 200 OK',
  'Server: gunicorn',
  'Date: Sun, 22 Nov 2026 10:00:00 GMT',
  'Connection: keep-alive',
  'Content-Type: text/html; charset=utf-8',
  'X-Frame-Options: DENY',
  'Content-Length: 104',
  'Vary: Cookie',
  'X-Content-Type-Options: nosniff',
  'Referrer-Policy: same-origin',
].join('\r\n')

/** Best round, in nanoseconds of CPU a run: the rest is what else the machine did. */
function measure(name: string, bytes: number, run: () => void): void {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.threadCpuUsage()
    for (let i = 0; i < RUNS; i += 1) run()
    const { user, system } = process.threadCpuUsage(before)
    best = Math.min(best, ((user + system) * 1000) / RUNS)
  }
  process.stdout.write(
    `${name.padEnd(28)} ${String(bytes).padStart(5)} bytes ${best.toFixed(0).padStart(6)} ns\n`,
  )
}

const request = Buffer.from(`${BROWSER}\r\n\r\n`, 'latin1')
const bare = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n', 'latin1')
const answer = Buffer.from(`${ANSWER}\r\n\r\n`, 'latin1')
const piece = Buffer.from(`a3\r\n${'x'.repeat(163)}\r\n`, 'latin1')
const chunked = Buffer.concat([...Array(16).fill(piece), Buffer.from('0\r\n\r\n')])

let seen = 0
const sink: ChunkSink = {
  chunkData(_bytes, start, end) {
    seen += end - start
  },
}

measure('browser request', request.length, () => {
  const head = readRequestHead(request, 0, request.length, LIMITS)
  if (head === undefined || 'refused' in head) throw new Error('refused')
  seen += head.size
})
measure('browser request, to text', request.length, () => {
  const head = readRequestHead(request, 0, request.length, LIMITS)
  if (head === undefined || 'refused' in head) throw new Error('refused')
  seen += head.fields.toText().length
})
measure('bare request', bare.length, () => {
  const head = readRequestHead(bare, 0, bare.length, LIMITS)
  if (head === undefined || 'refused' in head) throw new Error('refused')
  seen += head.size
})
measure('app response', answer.length, () => {
  const head = readResponseHead(answer, 0, answer.length, 'GET', LIMITS)
  if (head === undefined || 'refused' in head) throw new Error('refused')
  seen += head.size
})
measure('chunked body, 16 chunks', chunked.length, () => {
  const decoder = new ChunkedDecoder(sink)
  seen += decoder.decode(chunked, 0, chunked.length)
})
if (seen === 0) throw new Error('nothing was parsed')
