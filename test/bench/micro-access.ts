import { CellColumn, createCellMemory } from '../../lib/base/cells.ts'
import { systemClock } from '../../lib/base/clock.ts'
import { Descriptors } from '../../lib/base/descriptors.ts'
import { createLogger } from '../../lib/base/log.ts'
import { createSharedState, SharedState } from '../../lib/base/shared-state.ts'
import { Timers } from '../../lib/base/timers.ts'
import { AccessRecorder } from '../../lib/front/access/access.ts'
import type { Exchange } from '../../lib/http/exchange.ts'
import { FIELD } from '../../lib/http/field-ids.ts'
import { FieldList } from '../../lib/http/field-list.ts'
import { ExchangeRecord } from '../../lib/http/record.ts'

// What the end of an exchange costs: counters and access line, with the fields of a browser.
// node test/bench/micro-access.ts

const ROUNDS = 7
const EXCHANGES = 200_000

const env = {
  clock: systemClock,
  timers: new Timers(systemClock),
  cells: new CellColumn(createCellMemory(1), 0),
  shared: new SharedState(createSharedState(1)),
  descriptors: new Descriptors(new SharedState(createSharedState(1)), 0),
  thread: 0,
  random: Math.random,
}
const fields = FieldList.of([
  ['Host', 'www.example.com'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['Referer', 'https://www.example.com/polls/?page=2'],
])
const raw = 'GET /polls/17/results/?sort=votes HTTP/1.1'

function exchangeAt(now: number): Exchange {
  const record = new ExchangeRecord(`c0ffee00-${(now * 1000) | 0}`, now - 3.2)
  record.route = 'app'
  record.clientIp = '203.0.113.77'
  record.status = 200
  record.bytesIn = 612
  record.bytesOut = 10_432
  record.upstream = 'app'
  record.endpoint = '10.0.0.1:8000'
  record.attempts = 1
  record.attemptAtMs = now - 3.1
  record.sentAtMs = now - 3.05
  record.firstByteAtMs = now - 0.4
  record.upstreamEndAtMs = now - 0.3
  // Slices, as the parser makes them: the scan of a slice costs more than that of a constant.
  const request = {
    method: raw.slice(0, 3),
    target: raw.slice(4, 33),
    path: raw.slice(4, 22),
    host: fields.value(0),
    protocol: 'HTTP/1.1',
    fields,
    framing: 'none',
  }
  const client = { listener: 'web' }
  return { request, client, record, answered: true, bodyDone: true } as unknown as Exchange
}

let bytes = 0
const log = createLogger('info', { write: take })
const recorders = {
  'cells only': new AccessRecorder({ env, rowOf: () => 0, writeLine: undefined }),
  'cells and line': new AccessRecorder({
    env,
    rowOf: () => 0,
    writeLine: take,
  }),
}

for (let round = 0; round < ROUNDS; round += 1) {
  const costs = [`empty ${time(() => undefined)}`]
  for (const [name, recorder] of Object.entries(recorders)) {
    costs.push(`${name} ${time(exchange => recorder.finished(exchange))}`)
  }
  costs.push(`pino ${time(logWithPino)}`)
  process.stdout.write(`${costs.join('   ')}  us\n`)
}
process.stdout.write(`${bytes} characters\n`)

/** Microseconds of CPU an exchange, making the exchange included. */
function time(run: (exchange: Exchange) => void): string {
  const before = process.cpuUsage()
  for (let i = 0; i < EXCHANGES; i += 1) run(exchangeAt(systemClock.now()))
  const { user, system } = process.cpuUsage(before)
  return ((user + system) / EXCHANGES).toFixed(2)
}

/** Flattens the line, as the write to a file would. */
function take(line: string): void {
  bytes += line.length + line.charCodeAt(line.length - 1)
}

/** The same line by pino, without its counters. */
function logWithPino({ request, client, record }: Exchange): void {
  const now = systemClock.now()
  log.info(
    {
      req_id: record.requestId,
      listener: client.listener,
      client_ip: record.clientIp,
      proto: request.protocol,
      scheme: record.scheme,
      method: request.method,
      host: request.host,
      path: request.path,
      status: record.status,
      dur_ms: now - record.startMs,
      bytes_in: record.bytesIn,
      bytes_out: record.bytesOut,
      ua: request.fields.first(FIELD['user-agent']),
      referer: request.fields.first(FIELD.referer),
      route: record.route,
      upstream: record.upstream,
      endpoint: record.endpoint,
      attempts: record.attempts,
      first_byte_ms: (record.firstByteAtMs ?? 0) - (record.sentAtMs ?? 0),
      upstream_ms: (record.upstreamEndAtMs ?? 0) - (record.attemptAtMs ?? 0),
      end: record.end,
    },
    'access',
  )
}
