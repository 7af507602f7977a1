import t from 'tap'
import type { RouteStatus, StatusDocument, UpstreamStatus } from '../lib/server/admin/status.ts'
import { verdictOf } from '../lib/server/admin/verdict.ts'
import type { EndpointState } from '../lib/server/health/endpoint-entry.ts'
import type { ReloadResult } from '../lib/server/rollout/reloads.ts'
import { SPOOL, statusOf } from './support/status-document.ts'

function upstream(name: string, ...states: EndpointState[]): UpstreamStatus {
  const endpoints = states.map((state, i) => ({
    name: `e${i + 1}`,
    address: `127.0.0.1:${8001 + i}`,
    protocol: 'http1' as const,
    state,
    since: '2026-01-01T00:00:00.000Z',
    reason: state === 'up' || state === 'draining' ? undefined : 'connect refused',
    weight: 1,
    ramp: undefined,
    inflight: 0,
    note: undefined,
    slots: undefined,
    starting: false,
    tunnels: 0,
    check: undefined,
  }))
  return {
    name,
    balance: 'p2c',
    endpoints,
    queue: { waiting: 0, oldest_ms: 0 },
    problems: [],
    deployed: null,
  }
}

const refused: ReloadResult = { ok: false, at: '', generation: 1, hash: '', problems: ['x'], warnings: [] }

function routes(closed: readonly string[], open: readonly string[]): RouteStatus[] {
  return [...closed, ...open].map(name => {
    return { name, hosts: [], path: '/', leads_to: 'upstream app', closed: closed.includes(name) }
  })
}

const status = (changes: Partial<StatusDocument>) =>
  statusOf({ upstreams: [upstream('app', 'up', 'up')], ...changes })

/** Four endpoints that run two requests each. */
function busy(slots: number | undefined, waiting: number, oldestMs: number): UpstreamStatus {
  const app = upstream('app', 'up', 'up', 'up', 'up')
  const endpoints = app.endpoints.map(endpoint => ({ ...endpoint, inflight: 2, slots }))
  return { ...app, endpoints, queue: { waiting, oldest_ms: oldestMs } }
}

const app = upstream('app', 'down')
const starting = { ...app, endpoints: app.endpoints.map(endpoint => ({ ...endpoint, starting: true })) }

const thread = (state: string) => {
  return { thread: 0, state, generation: 1, beats: 1, loop_lag_ms: undefined, loop_utilization: undefined }
}

t.test('the most serious thing is said, with its cause', async t => {
  for (const [changes, kind, sentence] of [
    [{}, 'good', 'all is well: every endpoint is up'],
    [{ upstreams: [] }, 'good', 'all is well'],
    [
      { last_reload: refused },
      'doubtful',
      'the newest configuration was rejected; the previous one stays in use',
    ],
    [{ upstreams: [upstream('app', 'up', 'down')] }, 'doubtful', '1 of 2 endpoints not up: app: e2 is down'],
    [{ threads: [thread('running'), thread('starting')] }, 'doubtful', '1 of 2 data threads are not running'],
    [
      { upstreams: [upstream('app', 'up'), upstream('api', 'down', 'draining')], last_reload: refused },
      'bad',
      'no endpoint of upstream api is up (connect refused): its requests wait, then get a 503',
    ],
    [
      { upstreams: [upstream('app', 'down', 'ejected')] },
      'bad',
      'no endpoint of upstream app is up (connect refused): ejected endpoints are used anyway',
    ],
    [
      { spool: { ...SPOOL, problem: 'server.spool.folder /x does not exist' }, last_reload: refused },
      'bad',
      'uploads that do not fit in memory get a 503: server.spool.folder /x does not exist',
    ],
    [
      {
        endpoint_problem: 'new endpoints rejected, the previous ones stay in use: too many',
        last_reload: refused,
      },
      'doubtful',
      'new endpoints rejected, the previous ones stay in use: too many',
    ],
    [
      { routes: routes(['shop'], ['api']) },
      'doubtful',
      'closed for maintenance: route shop; otherwise, all is well: every endpoint is up',
    ],
    [
      { routes: routes(['a', 'b', 'c', 'd'], []), upstreams: [upstream('app', 'up', 'down')] },
      'doubtful',
      '1 of 2 endpoints not up: app: e2 is down; closed for maintenance: routes a, b, c, …',
    ],
    [
      {
        upstreams: [{ ...upstream('app', 'up'), problems: ['app:8000: the name is not known'] }],
        last_reload: refused,
      },
      'doubtful',
      'upstream app: app:8000: the name is not known',
    ],
    [
      { upstreams: [upstream('app', 'draining', 'draining')] },
      'bad',
      'every endpoint of upstream app is draining: its requests wait, then get a 503; undo with "causeway ready app"',
    ],
    [
      { upstreams: [busy(2, 5, 8_400)] },
      'doubtful',
      'upstream app: 8 of 8 slots occupied, 5 waiting, the oldest for 8 s',
    ],
    [
      { upstreams: [busy(undefined, 1, 1_000)] },
      'doubtful',
      'upstream app: 8 requests in flight, 1 waiting, the oldest for 1 s',
    ],
    [{ upstreams: [busy(2, 5, 900)] }, 'good', 'all is well: every endpoint is up'],
    [{ upstreams: [starting] }, 'doubtful', 'upstream app is starting: its requests wait'],
    [{ phase: 'draining', upstreams: [upstream('app', 'down')] }, 'bad', 'the process is draining'],
  ] as const) {
    t.same(verdictOf(status(changes)), { kind, sentence })
  }
})

t.test('of many endpoints the first three are named', async t => {
  const { sentence } = verdictOf(status({ upstreams: [upstream('a', 'up', 'down', 'down', 'down', 'down')] }))
  t.equal(sentence, '4 of 5 endpoints not up: a: e2 is down; a: e3 is down; a: e4 is down; …')
})
