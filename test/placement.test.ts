import t from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { type Placement, PlacementFull, Placer } from '../lib/server/placement.ts'
import { EXCHANGE_BLOCK, LISTENER_BLOCK } from '../metrics/blocks.ts'
import { ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../upstreams/measures.ts'

const folder = t.testdir({
  'a.toml': `
    [listeners.web]
    address = "127.0.0.1:0"
    [upstreams.app]
    endpoints = ["127.0.0.1:9001", { address = "127.0.0.1:9002", weight = 3 }]
    [routes.app]
    path = "/"
    upstream = "app"
    [routes.api]
    path = "/api/"
    upstream = "app"`,
})
const loaded = await loadConfig(`${folder}/a.toml`, {})
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
const { snapshot } = loaded

/** All row ranges of a placement. */
function ranges(placement: Placement): [start: number, end: number][] {
  return [
    ...placement.listeners.map(it => range(it.row, LISTENER_BLOCK.size)),
    ...placement.exchanges.map(it => range(it.row, EXCHANGE_BLOCK.size)),
    ...placement.upstreams.flatMap(it => [
      range(it.row, UPSTREAM_BLOCK.size),
      ...it.endpoints.map(endpoint => range(endpoint.row, ENDPOINT_BLOCK.size)),
    ]),
  ]
}

function range(row: number, size: number): [number, number] {
  return [row, row + size]
}

function withEndpoints(endpoints: Snapshot['upstreams'][number]['endpoints']): Snapshot {
  return { ...snapshot, upstreams: snapshot.upstreams.map(it => ({ ...it, endpoints })) }
}

t.test('every name has rows of its own, and each listener a row for every route and for none', async t => {
  const placement = new Placer(10_000).place(snapshot)
  t.same(placement.exchanges.map(it => `${it.listener} ${it.route}`).sort(), ['web ', 'web api', 'web app'])
  const sorted = ranges(placement).sort(([a], [b]) => a - b)
  for (const [i, [start]] of sorted.entries()) t.ok(i === 0 || start >= (sorted[i - 1]?.[1] as number))
})

t.test('a reload moves nothing, whatever else comes and goes', async t => {
  const placer = new Placer(10_000)
  const before = placer.place(snapshot)
  const second = {
    name: '127.0.0.1:9003',
    address: { kind: 'tcp', host: '127.0.0.1', port: 9003 },
    protocol: 'http1',
    weight: 1,
    backup: false,
  } as const
  placer.place(withEndpoints([second]))
  t.same(placer.place(snapshot), before)
})

t.test('a worker that got another address keeps its counters but not its health', async t => {
  const placer = new Placer(10_000)
  const worker = (port: number) =>
    ({
      name: 'worker-1',
      address: { kind: 'tcp', host: '127.0.0.1', port },
      protocol: 'http1',
      weight: 1,
      backup: false,
    }) as const
  const first = placer.place(withEndpoints([worker(4001)])).upstreams[0]?.endpoints[0]
  const second = placer.place(withEndpoints([worker(4002)])).upstreams[0]?.endpoints[0]
  t.equal(second?.row, first?.row)
  t.not(second?.slot, first?.slot)
})

t.test('when all rows are taken the configuration is refused with a word on what to do', async t => {
  t.throws(() => new Placer(EXCHANGE_BLOCK.size).place(snapshot), PlacementFull)
  t.throws(() => new Placer(EXCHANGE_BLOCK.size).place(snapshot), /restart to forget removed names/)
})
