import { spawnSync } from 'node:child_process'
import t from 'tap'
import { CellColumn, CellReader, createCellMemory, LATENCY_BOUNDS, RowAllocator } from '../lib/base/cells.ts'
import { createSharedState, SharedState, STATE } from '../lib/base/shared-state.ts'
import { SPOOL_BLOCK } from '../lib/proxy/spool-measures.ts'
import { STATIC_BLOCK } from '../lib/static/static-measures.ts'
import { CODES, codeIndex, EXCHANGE_BLOCK, LISTENER_BLOCK, METHODS, methodIndex } from '../metrics/blocks.ts'
import { CATALOGUE } from '../metrics/catalogue.ts'
import type { ControlFacts, WorkerFacts } from '../metrics/facts.ts'
import { HealthTally } from '../metrics/health-tally.ts'
import type { Placement } from '../metrics/placement.ts'
import { PROTOCOL_ERRORS, protocolErrorIndex } from '../metrics/protocol-errors.ts'
import { Scrape } from '../metrics/scrape.ts'
import { ATTEMPT_ERRORS, ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../upstreams/measures.ts'
import { Metrics } from './support/metrics.ts'

const { CI } = process.env
const COLUMNS = 2
const RETAIN_MS = 15 * 60_000

class Facts implements ControlFacts {
  version = '1.2.3'
  configHash = 'abc123'
  reloads = { success: 2, failure: 1 }
  lastReloadOk = true
  lastReloadOkAtMs = 1_700_000_000_500
  workers: WorkerFacts[] = [
    { thread: 0, state: 'running', generation: 3, loopLagMs: 12, loopUtilization: 0.5 },
    { thread: 1, state: 'starting', generation: 0, loopLagMs: undefined, loopUtilization: undefined },
  ]
  workerRestarts = { exit: 1, stuck: 0 }
  certificates = [
    {
      listener: 'web',
      name: 'a.test',
      names: ['a.test', 'b.test'],
      keyType: 'ec',
      renewed: false,
      notAfterMs: 1_800_000_000_000,
    },
  ]
  certificateProblems = 2
  logLinesDropped = { app: 0, access: 7 }
  uncaught = { control: { exception: 0, rejection: 0 }, data: { exception: 1, rejection: 0 } }
  health = new HealthTally()
}

/** A process without threads: cells, shared words, facts and the scrape over them. */
class Bench {
  readonly facts = new Facts()
  readonly shared = new SharedState(createSharedState(COLUMNS))
  readonly columns: readonly CellColumn[]
  readonly scrape: Scrape
  readonly #rows = new RowAllocator(100_000)
  nowMs = 0

  constructor() {
    const memory = createCellMemory(COLUMNS, 100_000)
    this.columns = [new CellColumn(memory, 0), new CellColumn(memory, 1)]
    const clock = { now: () => this.nowMs, wall: () => 0 }
    const { shared, facts } = this
    this.scrape = new Scrape({ reader: new CellReader(memory), shared, facts, clock })
  }

  row(key: string, size: number): number {
    return this.#rows.rowOf(key, size) as number
  }

  exchangeRow(route: string): number {
    return this.row(`exchange:web|${route}`, EXCHANGE_BLOCK.size)
  }

  endpointRow(name: string): number {
    return this.row(`endpoint:app|${name}`, ENDPOINT_BLOCK.size)
  }

  place(routes: readonly string[], endpoints: readonly string[]): void {
    const placement: Placement = {
      spool: { row: this.row('spool', SPOOL_BLOCK.size) },
      static: { row: this.row('static', STATIC_BLOCK.size) },
      listeners: [{ name: 'web', row: this.row('listener:web', LISTENER_BLOCK.size) }],
      exchanges: routes.map(route => ({ listener: 'web', route, row: this.exchangeRow(route) })),
      upstreams: [
        {
          name: 'app',
          row: this.row('upstream:app', UPSTREAM_BLOCK.size),
          endpoints: endpoints.map((name, index) => ({
            name,
            row: this.endpointRow(name),
            index,
            weight: index + 1,
          })),
        },
      ],
    }
    this.scrape.place(placement)
  }

  async metrics(): Promise<Metrics> {
    return new Metrics(await this.scrape.text())
  }
}

function column(bench: Bench, thread: number): CellColumn {
  return bench.columns[thread] as CellColumn
}

t.test('every family is there with HELP and TYPE before anything has happened', async t => {
  const text = await new Bench().scrape.text()
  for (const { name, type, help } of CATALOGUE) {
    t.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`), name)
  }
})

const skip =
  CI === undefined && spawnSync('promtool', ['--version']).error !== undefined
    ? 'promtool is not installed (Debian: prometheus)'
    : false

t.test('promtool finds nothing to say about a full scrape', { skip }, async t => {
  const bench = new Bench()
  bench.place(['app', ''], ['10.0.0.1:80', '10.0.0.2:80'])
  bench.facts.health.checked('app', '10.0.0.1:80', 'pass', 3)
  for (let row = 0; row < 2000; row += 1) column(bench, 0).add(row, 1)
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await bench.scrape.text(),
    encoding: 'utf8',
  })
  t.equal(stdout + stderr, '')
  t.equal(status, 0)
})

t.test('a counter is the sum over all columns, and does not fall when a thread is replaced', async t => {
  const bench = new Bench()
  bench.place(['app'], [])
  const row = bench.exchangeRow('app') + EXCHANGE_BLOCK.at.bytesIn
  column(bench, 0).add(row, 100)
  column(bench, 1).add(row, 11)
  t.equal((await bench.metrics()).sum('causeway_request_bytes_total'), 111)
  bench.scrape.clearGauges(column(bench, 1))
  t.equal((await bench.metrics()).sum('causeway_request_bytes_total'), 111, 'the thread is dead')
  column(bench, 1).add(row, 1)
  t.equal((await bench.metrics()).sum('causeway_request_bytes_total'), 112, 'its successor counts on')
})

t.test('a dead thread leaves nothing in the gauges', async t => {
  const bench = new Bench()
  bench.place(['app'], ['a', 'b'])
  const gauges = [
    bench.row('spool', 0) + SPOOL_BLOCK.at.files,
    bench.row('static', 0) + STATIC_BLOCK.at.heldBytes,
    bench.row('static', 0) + STATIC_BLOCK.at.names + 1,
    bench.row('listener:web', 0) + LISTENER_BLOCK.at.active,
    bench.row('listener:web', 0) + LISTENER_BLOCK.at.inflight,
    bench.row('upstream:app', 0) + UPSTREAM_BLOCK.at.queueDepth,
    bench.endpointRow('a') + ENDPOINT_BLOCK.at.idle,
    bench.endpointRow('b') + ENDPOINT_BLOCK.at.active,
  ]
  for (const row of gauges) for (const each of bench.columns) each.add(row, 5)
  const names = [
    'causeway_spool_files',
    'causeway_static_held_bytes',
    'causeway_static_names',
    'causeway_connections_active',
    'causeway_requests_in_flight',
    'causeway_upstream_queue_depth',
    'causeway_upstream_connections',
  ]
  const before = await bench.metrics()
  t.same(
    names.map(name => before.sum(name)),
    [10, 10, 10, 10, 10, 10, 20],
  )
  bench.place(['app'], ['a']) // b is gone from the configuration, but its cells are still there
  bench.scrape.clearGauges(column(bench, 1))
  bench.place(['app'], ['a', 'b'])
  const after = await bench.metrics()
  t.same(
    names.map(name => after.sum(name)),
    [5, 5, 5, 5, 5, 5, 10],
  )
})

t.test('each cell of a block is shown under its own labels', async t => {
  const bench = new Bench()
  bench.place(['app'], ['a'])
  const requests = bench.exchangeRow('app') + EXCHANGE_BLOCK.at.requests
  const endpoint = bench.endpointRow('a')
  const cells = column(bench, 0)
  cells.add(requests + methodIndex('POST') * CODES.length + codeIndex(503), 3)
  cells.add(endpoint + ENDPOINT_BLOCK.at.attempts + 4, 4)
  cells.add(endpoint + ENDPOINT_BLOCK.at.attempts + 5, 5)
  cells.add(endpoint + ENDPOINT_BLOCK.at.errors + ATTEMPT_ERRORS.indexOf('reset'), 6)
  cells.add(endpoint + ENDPOINT_BLOCK.at.idle, 7)
  cells.add(endpoint + ENDPOINT_BLOCK.at.active, 8)
  const text = await bench.scrape.text()
  for (const line of [
    'causeway_requests_total{method="POST",code="503",listener="web",route="app"} 3',
    'causeway_upstream_requests_total{code_class="5xx",upstream="app",server="a"} 4',
    'causeway_upstream_requests_total{code_class="error",upstream="app",server="a"} 5',
    'causeway_upstream_errors_total{kind="reset",upstream="app",server="a"} 6',
    'causeway_upstream_errors_total{kind="connect",upstream="app",server="a"} 0',
    'causeway_upstream_connections{state="idle",upstream="app",server="a"} 7',
    'causeway_upstream_connections{state="active",upstream="app",server="a"} 8',
  ]) {
    t.ok(text.includes(`${line}\n`), line)
  }
  t.equal(text.match(/^causeway_requests_total\{/gm)?.length, 1, 'what has not happened has no line')
})

t.test('a histogram is cumulative and ends with +Inf, sum and count', async t => {
  const bench = new Bench()
  bench.place(['app'], [])
  const row = bench.exchangeRow('app') + EXCHANGE_BLOCK.at.duration
  for (const seconds of [0.001, 0.0011, 0.3, 61]) column(bench, 0).observe(row, LATENCY_BOUNDS, seconds)
  column(bench, 1).observe(row, LATENCY_BOUNDS, 0.3)
  const metrics = await bench.metrics()
  const buckets = metrics.series.filter(series => series.name === 'causeway_request_duration_seconds_bucket')
  t.same(
    buckets.map(({ labels: { le }, value }) => [le, value]),
    [...LATENCY_BOUNDS.map(bound => [String(bound), bound < 0.0025 ? 1 : bound < 0.5 ? 2 : 4]), ['+Inf', 5]],
  )
  t.equal(metrics.sum('causeway_request_duration_seconds_count'), 5)
  t.equal(metrics.sum('causeway_request_duration_seconds_sum').toFixed(4), '61.6021')
})

t.test('listeners of one route are added up where a family does not name them', async t => {
  const bench = new Bench()
  const rows = ['a', 'b'].map(listener => bench.row(`exchange:${listener}|app`, EXCHANGE_BLOCK.size))
  bench.scrape.place({
    spool: { row: 0 },
    static: { row: 0 },
    listeners: [],
    upstreams: [],
    exchanges: [
      { listener: 'a', route: 'app', row: rows[0] as number },
      { listener: 'b', route: 'app', row: rows[1] as number },
    ],
  })
  for (const row of rows) column(bench, 0).add(row + EXCHANGE_BLOCK.at.aborts, 1)
  t.match(await bench.scrape.text(), /^causeway_client_aborts_total\{phase="request",route="app"\} 2$/m)
})

t.test('a name of any characters is escaped and is nothing but a name', async t => {
  const bench = new Bench()
  const names = ['a"b', 'a\nb', 'a\\b', '__proto__', 'constructor', '}']
  bench.place(names, names)
  const text = await bench.scrape.text()
  for (const name of ['a\\"b', 'a\\nb', 'a\\\\b', '__proto__', 'constructor', '}']) {
    t.ok(text.includes(`causeway_request_bytes_total{listener="web",route="${name}"} 0\n`), name)
    t.ok(text.includes(`causeway_upstream_server_up{upstream="app",server="${name}"} 1\n`), name)
  }
  t.equal(text.match(/^causeway_request_bytes_total/gm)?.length, names.length)
})

t.test('what a reload removes: gauges go at once, counters after 15 minutes', async t => {
  const bench = new Bench()
  bench.place(['app', 'old'], ['a', 'b'])
  column(bench, 0).add(bench.exchangeRow('old') + EXCHANGE_BLOCK.at.bytesIn, 9)
  bench.facts.health.checked('app', 'b', 'pass', 1)
  const has = async (pattern: RegExp) => pattern.test(await bench.scrape.text())
  const counters = [/request_bytes_total\{.*route="old"\} 9/, /health_checks_total\{.*server="b"\} 1/]
  bench.place(['app'], ['a'])
  t.notOk(await has(/server_up\{.*server="b"/), 'gauge')
  bench.nowMs += RETAIN_MS - 1
  for (const counter of counters) t.ok(await has(counter), `${counter} just before`)
  bench.nowMs += 1
  for (const counter of counters) t.notOk(await has(counter), `${counter} then`)
  bench.place(['app', 'old'], ['a'])
  t.ok(await has(counters[0] as RegExp), 'and comes back where it was')
})

t.test('coming back in time costs nothing', async t => {
  const bench = new Bench()
  bench.place(['old'], [])
  column(bench, 0).add(bench.exchangeRow('old') + EXCHANGE_BLOCK.at.bytesIn, 9)
  bench.place([], [])
  bench.nowMs += RETAIN_MS / 2
  bench.place(['old'], [])
  bench.nowMs += RETAIN_MS * 2
  t.match(await bench.scrape.text(), /request_bytes_total\{listener="web",route="old"\} 9/)
  t.equal((await bench.metrics()).sum('causeway_request_bytes_total'), 9, 'and is there once')
})

t.test('an endpoint is up only when it is in no other state', async t => {
  const bench = new Bench()
  bench.place([], ['a', 'b', 'c'])
  bench.shared.setState(1, STATE.down | STATE.draining, true)
  bench.shared.setState(2, STATE.ejected, true)
  bench.shared.acquire(0, 0, 0)
  const metrics = await bench.metrics()
  const up = (server: string) => metrics.sum('causeway_upstream_server_up', { server })
  const states = (server: string) =>
    ['up', 'down', 'ejected', 'draining'].filter(
      state => metrics.sum('causeway_upstream_server_state', { server, state }) === 1,
    )
  t.same([up('a'), up('b'), up('c')], [1, 0, 0])
  t.same([states('a'), states('b'), states('c')], [['up'], ['down', 'draining'], ['ejected']])
  t.equal(metrics.sum('causeway_upstream_servers', { state: 'up' }), 1)
  t.equal(metrics.sum('causeway_upstream_in_flight', { server: 'a' }), 1)
  t.equal(metrics.sum('causeway_upstream_server_weight', { server: 'c' }), 3)
})

t.test('checks and state changes are shown as the control thread counted them', async t => {
  const bench = new Bench()
  bench.place([], ['a'])
  const { health } = bench.facts
  health.checked('app', 'a', 'pass', 4)
  health.checked('app', 'a', 'fail', 2000)
  health.changed('app', 'a', 'down')
  const metrics = await bench.metrics()
  t.equal(metrics.sum('causeway_upstream_health_checks_total', { result: 'fail' }), 1)
  t.equal(metrics.sum('causeway_upstream_state_changes_total', { to: 'down' }), 1)
  t.equal(metrics.sum('causeway_upstream_health_check_duration_seconds_bucket', { le: '0.005' }), 1)
  t.equal(metrics.sum('causeway_upstream_health_check_duration_seconds_sum'), 2.004)
})

t.test('the process, its configuration and its threads', async t => {
  const text = await new Bench().scrape.text()
  for (const line of [
    `causeway_build_info{version="1.2.3",node="${process.version}"} 1`,
    'causeway_config_info{hash="abc123"} 1',
    'causeway_config_reloads_total{result="failure"} 1',
    'causeway_config_last_reload_successful 1',
    'causeway_config_last_reload_success_timestamp_seconds 1700000000.5',
    'causeway_config_generation{worker="0"} 3',
    'causeway_certificate_problems 2',
    'causeway_workers{state="running"} 1',
    'causeway_worker_restarts_total{reason="exit"} 1',
    'causeway_worker_event_loop_lag_seconds{worker="0"} 0.012',
    'causeway_uncaught_errors_total{thread="data",kind="exception"} 1',
    'causeway_log_lines_dropped_total{log="access"} 7',
  ]) {
    t.ok(text.includes(`${line}\n`), line)
  }
  t.notMatch(text, /event_loop_lag_seconds\{worker="1"\}/, 'a thread that has not reported has no lag')
  t.match(text, /^process_cpu_seconds_total \d/m)
  t.notMatch(text, /^nodejs_active_\w+_total/m)
})

t.test('a scrape tells how large the one before was', async t => {
  const bench = new Bench()
  bench.place(['app'], ['a'])
  await bench.scrape.text()
  const first = await bench.metrics()
  t.equal(first.sum('causeway_metrics_series'), first.series.length)
})

t.test(
  'a server has lines for tunnels, abandoned requests and a learned limit once it has had any',
  async t => {
    const bench = new Bench()
    bench.place(['app'], ['a', 'b'])
    const RARE =
      /^causeway_upstream_(tunnels|tunnels_total|tunnel_bytes_total|abandoned_\w+|concurrency_limit)\{/
    const rare = async () => (await bench.scrape.text()).split('\n').filter(line => RARE.test(line))
    t.same(await rare(), [])
    const { tunnelsOpened, tunnels, abandoned } = ENDPOINT_BLOCK.at
    const row = bench.endpointRow('b')
    for (const cell of [tunnelsOpened, tunnels, abandoned]) column(bench, 0).add(row + cell, 1)
    bench.shared.setLearned(1, 7)
    column(bench, 0).add(row + tunnels, -1)
    const of = '{upstream="app",server="b"}'
    t.same(await rare(), [
      `causeway_upstream_tunnels${of} 0`,
      `causeway_upstream_tunnels_total${of} 1`,
      'causeway_upstream_tunnel_bytes_total{direction="sent",upstream="app",server="b"} 0',
      'causeway_upstream_tunnel_bytes_total{direction="received",upstream="app",server="b"} 0',
      `causeway_upstream_abandoned_total${of} 1`,
      `causeway_upstream_abandoned_in_flight${of} 0`,
      `causeway_upstream_concurrency_limit${of} 7`,
    ])
  },
)

t.test('three routes, two upstreams of eight servers stay under a thousand series', async t => {
  const bench = new Bench()
  const servers = Array.from({ length: 16 }, (_, i) => `10.0.0.${i}:80`)
  bench.place(['static', 'app', ''], servers)
  const ours = (await bench.metrics()).series.filter(({ name }) => name.startsWith('causeway_'))
  t.ok(ours.length > 300 && ours.length < 1000, `${ours.length} series`)
})

t.test('methods and codes fold into closed lists', async t => {
  t.same(
    ['GET', 'OPTIONS', 'PROPFIND', 'get', ''].map(method => METHODS[methodIndex(method)]),
    ['GET', 'OPTIONS', 'other', 'other', 'other'],
  )
  const codes = [200, 499, 599, 299, 150, 0, 999, 1000, -1, Number.NaN]
  t.same(
    codes.map(code => CODES[codeIndex(code)]),
    ['200', '499', '5xx', '2xx', '1xx', 'other', 'other', 'other', 'other', 'other'],
  )
  t.same(
    ['bare-lf', 'te-value', 'chunk-size', 'never heard of'].map(
      each => PROTOCOL_ERRORS[protocolErrorIndex(each)],
    ),
    ['line_end', 'transfer_encoding', 'chunk', 'other'],
  )
})
