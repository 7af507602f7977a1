import fc from 'fast-check'
import t from 'tap'
import { CellColumn, CellReader, createCellMemory, FINE_BOUNDS, LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { Descriptors } from '../lib/base/descriptors.ts'
import { END_CAUSES } from '../lib/base/errors.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { Timers } from '../lib/base/timers.ts'
import { AccessRecorder } from '../lib/front/access/access.ts'
import type { Exchange } from '../lib/http/exchange.ts'
import { FieldList } from '../lib/http/field-list.ts'
import type { RequestHead } from '../lib/http/message.ts'
import { ExchangeRecord } from '../lib/http/record.ts'
import { ABORT_PHASES, CODES, codeIndex, EXCHANGE_BLOCK, METHODS, methodIndex } from '../metrics/blocks.ts'

const AT = EXCHANGE_BLOCK.at
const START_MS = 1000

/** What the tests look at in a line. */
type Line = Readonly<
  Partial<Record<'time' | 'path' | 'host' | 'method' | 'ua' | 'referer' | 'status' | 'detail', unknown>>
>

interface Seen {
  readonly request?: Partial<RequestHead>
  readonly fields?: readonly (readonly [string, string])[]
  readonly record?: Partial<ExchangeRecord>
  readonly answered?: boolean
  readonly bodyDone?: boolean
}

function exchangeOf({
  request = {},
  fields = [],
  record = {},
  answered = true,
  bodyDone = true,
}: Seen): Exchange {
  const head = {
    method: 'GET',
    path: '/',
    host: 'example.com',
    protocol: 'HTTP/1.1',
    framing: 'none',
    fields: FieldList.of(fields),
    ...request,
  }
  const full = Object.assign(new ExchangeRecord('r1', START_MS), {
    status: 200,
    clientIp: '192.0.2.1',
    ...record,
  })
  const client = { listener: 'web' }
  return { request: head, client, record: full, answered, bodyDone } as unknown as Exchange
}

/** A recorder, its cells and its lines. */
class Desk {
  readonly lines: string[] = []
  nowMs = START_MS
  wallMs = Date.UTC(2026, 10, 22, 10, 20, 30, 5)
  readonly #memory = createCellMemory(1, 2 * EXCHANGE_BLOCK.size)
  readonly reader = new CellReader(this.#memory)
  readonly recorder: AccessRecorder

  constructor(logs = true) {
    const clock = { now: () => this.nowMs, wall: () => this.wallMs }
    const env = {
      clock,
      timers: new Timers(clock),
      cells: new CellColumn(this.#memory, 0),
      shared: new SharedState(createSharedState(1)),
      descriptors: new Descriptors(new SharedState(createSharedState(1)), 0),
      thread: 0,
      random: () => 0,
    }
    const rowOf = (_: string, route: string | undefined) => (route === undefined ? EXCHANGE_BLOCK.size : 0)
    const writeLine = logs ? (line: string) => void this.lines.push(line) : undefined
    this.recorder = new AccessRecorder({ env, rowOf, writeLine })
  }

  finish(seen: Seen, tookMs = 0): Line {
    this.nowMs = START_MS + tookMs
    this.recorder.finished(exchangeOf({ ...seen, record: { route: 'app', ...seen.record } }))
    return JSON.parse(this.lines.at(-1) ?? '{}')
  }

  cell(at: number): number {
    return this.reader.total(at)
  }
}

t.test('a line has what house and pino agreed on, in this order', async t => {
  const desk = new Desk()
  desk.finish(
    {
      request: {
        method: 'POST',
        path: '/polls/1/vote/',
        query: 'token=secret',
        target: '/polls/1/vote/?token=secret',
      },
      fields: [
        ['User-Agent', 'curl/8'],
        ['Referer', 'https://example.com/polls/?q=private#x'],
        ['Cookie', 'session=hidden'],
        ['Authorization', 'Basic hidden'],
      ],
      record: {
        status: 302,
        bytesIn: 500,
        bytesOut: 321,
        upstream: 'app',
        endpoint: '10.0.0.1:8000',
        attempts: 1,
        bodyMs: 3.25,
        queueMs: 1.5,
        connectMs: 0.25,
        attemptAtMs: 1002,
        sentAtMs: 1003,
        firstByteAtMs: 1010.1234,
        upstreamEndAtMs: 1012,
      },
    },
    12.3456,
  )
  t.equal(
    desk.lines[0],
    '{"level":"info","time":"2026-11-22T10:20:30.005Z","msg":"access","req_id":"r1","listener":"web",' +
      '"client_ip":"192.0.2.1","proto":"HTTP/1.1","scheme":"http","method":"POST","host":"example.com",' +
      '"path":"/polls/1/vote/","status":302,"dur_ms":12.346,"bytes_in":500,"bytes_out":321,"ua":"curl/8",' +
      '"referer":"https://example.com/polls/","route":"app","upstream":"app","endpoint":"10.0.0.1:8000",' +
      '"attempts":1,"body_ms":3.250,"queue_ms":1.500,"connect_ms":0.250,"first_byte_ms":7.123,"upstream_ms":10.000,"end":"ok"}\n',
  )
})

t.test('what is not known is left out: a request whose head was refused', async t => {
  const desk = new Desk()
  const line = desk.finish({
    request: { method: '', host: '', path: '' },
    record: { end: 'bad_request', status: 400, detail: 'bare-lf', route: undefined, clientIp: '' },
  })
  t.same(Object.keys(line), [
    ...['level', 'time', 'msg', 'req_id', 'listener', 'proto', 'scheme'],
    ...['status', 'dur_ms', 'bytes_in', 'bytes_out', 'end', 'detail'],
  ])
  t.equal(
    desk.cell(EXCHANGE_BLOCK.size + AT.ends + END_CAUSES.indexOf('bad_request')),
    1,
    'counted without a route',
  )
})

t.test('the time goes on within a second and over it', async t => {
  const desk = new Desk()
  const times = [0, 994, 1, 60_000].map(step => {
    desk.wallMs += step
    return desk.finish({}).time
  })
  t.same(times, [
    '2026-11-22T10:20:30.005Z',
    '2026-11-22T10:20:30.999Z',
    '2026-11-22T10:20:31.000Z',
    '2026-11-22T10:21:31.000Z',
  ])
})

t.test('whatever a client sends, a line is one line of JSON and says it', async t => {
  const desk = new Desk()
  const anything = fc.string({ unit: 'binary', maxLength: 40 })
  fc.assert(
    fc.property(anything, anything, anything, (path, agent, host) => {
      const line = desk.finish({ request: { path, host }, fields: [['User-Agent', agent]] })
      t.equal(desk.lines.at(-1)?.indexOf('\n'), (desk.lines.at(-1)?.length ?? 0) - 1)
      return line.ua === agent && (line.path ?? '') === path && (line.host ?? '') === host
    }),
  )
})

t.test('control characters reach no terminal', async t => {
  const desk = new Desk()
  desk.finish({ fields: [['User-Agent', '\u001b[2J\u009b2J\u007f\u2028"\\']] })
  t.match(desk.lines[0], '"ua":"\\u001b[2J\\u009b2J\\u007f\\u2028\\"\\\\"')
})

t.test('long values are cut', async t => {
  const desk = new Desk()
  const long = 'x'.repeat(5000)
  const line = desk.finish({
    request: { path: `/${long}`, host: long, method: long },
    fields: [['User-Agent', long]],
    record: { detail: long },
  })
  t.same(
    [line.path, line.ua, line.host, line.method, line.detail].map(value => String(value).length),
    [2051, 515, 258, 35, 515],
  )
})

t.test('a Referer is shown without query, fragment, user and password', async t => {
  const desk = new Desk()
  const cases = [
    ['https://u:p@example.com/@me?a=@b', 'https://example.com/@me'],
    ['https://example.com/@me', 'https://example.com/@me'],
    ['https://u@x@example.com', 'https://example.com'],
    ['/a#b?c@d', '/a'],
    ['?x', ''],
  ]
  for (const [referer = '', shown] of cases) {
    t.equal(desk.finish({ fields: [['Referer', referer]] }).referer, shown, referer)
  }
})

t.test('each exchange is counted once in each of its cells', async t => {
  const desk = new Desk(false)
  desk.finish({ record: { bytesIn: 10, bytesOut: 20 } }, 7)
  desk.finish({ record: { bytesIn: 1, bytesOut: 2, status: 404 } }, 70_000)
  const requests = AT.requests + methodIndex('GET') * CODES.length
  t.equal(desk.cell(requests + codeIndex(200)), 1)
  t.equal(desk.cell(requests + codeIndex(404)), 1)
  t.equal(desk.cell(AT.bytesIn), 11)
  t.equal(desk.cell(AT.bytesOut), 22)
  t.equal(desk.cell(AT.ends), 2)
  t.equal(desk.cell(AT.duration + LATENCY_BOUNDS.indexOf(0.01)), 1)
  t.equal(desk.cell(AT.duration + LATENCY_BOUNDS.length), 1, 'above the last bound')
  t.equal(desk.cell(AT.duration + LATENCY_BOUNDS.length + 1), 70.007)
  t.same(desk.lines, [], 'and without a log there are no lines')
})

t.test('10,000 odd methods, paths and statuses use no more cells than one', async t => {
  const desk = new Desk(false)
  for (let i = 0; i < 10_000; i += 1) {
    desk.finish({ request: { method: `M${i}`, path: `/${i}`, host: `h${i}` }, record: { status: 600 + i } })
  }
  const used = Array.from({ length: METHODS.length * CODES.length }, (_, i) => desk.cell(AT.requests + i))
  t.same(
    used.filter(count => count > 0),
    [10_000],
  )
})

t.test('an answer of our own counts as generated; a cut or lost one does not', async t => {
  const generated = (record: Partial<ExchangeRecord>) => {
    const desk = new Desk()
    desk.finish({ record })
    return END_CAUSES.filter((_, i) => desk.cell(AT.generated + i) > 0)
  }
  t.same(generated({ end: 'upstream_timeout', status: 504, bytesOut: 200 }), ['upstream_timeout'])
  t.same(generated({ end: 'upstream_truncated', status: 200, bytesOut: 200 }), [])
  t.same(generated({ end: 'client_timeout', status: 408, bytesOut: 0 }), [])
  t.same(generated({ end: 'ok', status: 502, bytesOut: 200 }), [], "the app's own 502")
})

t.test('a client that leaves is counted where it left', async t => {
  const phaseOf = (seen: Seen) => {
    const desk = new Desk()
    const line = desk.finish({ ...seen, record: { end: 'client_gone', status: 0, ...seen.record } })
    t.equal(line.status, 499)
    return ABORT_PHASES.filter((_, i) => desk.cell(AT.aborts + i) > 0)
  }
  t.same(phaseOf({ answered: true }), ['response'])
  t.same(phaseOf({ answered: false, bodyDone: false }), ['request'])
  t.same(phaseOf({ answered: false, bodyDone: false, record: { attempts: 1 } }), ['request'])
  t.same(phaseOf({ answered: false, record: { upstream: 'app' } }), ['queue'])
  t.same(phaseOf({ answered: false, bodyDone: false, record: { upstream: 'app', queueMs: 5 } }), ['queue'])
  t.same(phaseOf({ answered: false, record: { upstream: 'app', attempts: 1 } }), ['upstream'])
})

t.test('overhead is what is left of the time when all waiting is taken off', async t => {
  const waits = { sentAtMs: 1004, upstreamEndAtMs: 1104, queueMs: 2, connectMs: 1, attempts: 1 }
  const overhead = (seen: Seen) => {
    const desk = new Desk()
    desk.finish(seen, 105)
    return desk.cell(AT.overhead + FINE_BOUNDS.length + 1)
  }
  t.equal(overhead({ record: waits }), 0.002)
  t.equal(overhead({ record: { ...waits, queueMs: 50 } }), 0, 'never below nothing')
  t.equal(overhead({ record: {} }), 0.105, 'of a static file, all')
  t.equal(overhead({ record: { ...waits, attempts: 2 } }), 0)
  t.equal(overhead({ record: { ...waits, bytesOut: 70_000 } }), 0)
  t.equal(overhead({ record: waits, request: { framing: 'length' } }), 0)
  t.equal(overhead({ record: { ...waits, end: 'upstream_timeout' } }), 0)
})
