import t from 'tap'
import { CellColumn, createCellMemory, DEFAULT_ROWS } from '../lib/base/cells.ts'
import { MAX_ENDPOINTS } from '../lib/base/shared-layout.ts'
import { createSharedState, SharedState, STATE } from '../lib/base/shared-state.ts'
import { loadConfig } from '../lib/config/load.ts'
import type { EndpointConfig, Snapshot } from '../lib/config/model.ts'
import { PlaceMemory } from '../lib/server/shared/place-memory.ts'
import { type Placement, PlacementFull, Placer } from '../lib/server/shared/placement.ts'
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

/** A placer with memory of its own, and the moment that it is at. */
function makePlacer(rows = 10_000) {
  const shared = new SharedState(createSharedState(2))
  const cells = createCellMemory(2, rows)
  const placer = new Placer(rows, new PlaceMemory(shared, cells))
  const moment = { nowMs: 0, serial: 0, applied: 0 }
  /** Each placement is taken by all threads at once, unless `stuck`. */
  const place = (taken: Snapshot, afterMs = 0, stuck = false): Placement => {
    moment.nowMs += afterMs
    moment.serial += 1
    const placement = placer.place(taken, moment)
    if (!stuck) moment.applied = moment.serial
    return placement
  }
  return { place, shared, columns: [0, 1].map(column => new CellColumn(cells, column)) }
}

function endpointAt(name: string, host: string): EndpointConfig {
  return { name, address: { kind: 'tcp', host, port: 8000 }, protocol: 'http1', weight: 1, backup: false }
}

function endpointOf(placement: Placement, at = 0) {
  return placement.upstreams[0]?.endpoints[at] as Placement['upstreams'][number]['endpoints'][number]
}

function withEndpoints(endpoints: Snapshot['upstreams'][number]['endpoints']): Snapshot {
  return { ...snapshot, upstreams: snapshot.upstreams.map(it => ({ ...it, endpoints })) }
}

t.test('every name has rows of its own, and each listener a row for every route and for none', async t => {
  const placement = makePlacer().place(snapshot)
  t.same(placement.exchanges.map(it => `${it.listener} ${it.route}`).sort(), ['web ', 'web api', 'web app'])
  const sorted = ranges(placement).sort(([a], [b]) => a - b)
  for (const [i, [start]] of sorted.entries()) t.ok(i === 0 || start >= (sorted[i - 1]?.[1] as number))
})

t.test('a reload moves nothing, whatever else comes and goes', async t => {
  const placer = makePlacer()
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
  const placer = makePlacer()
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
  t.not(second?.index, first?.index)
})

t.test('when all rows are taken the configuration is refused with a word on what to do', async t => {
  t.throws(() => makePlacer(EXCHANGE_BLOCK.size).place(snapshot), PlacementFull)
  t.throws(() => makePlacer(EXCHANGE_BLOCK.size).place(snapshot), /restart to drop removed names/)
})

/** An address of its own for each number. */
const hostOf = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`

t.test(
  'a name may change its address 10,000 times and more: slots are given back, its counters stay',
  async t => {
    const { place, shared } = makePlacer(DEFAULT_ROWS)
    const rows = new Set<number>()
    const slots = new Set<number>()
    let inherited = 0
    for (let i = 0; i < 12_000; i += 1) {
      const { row, index } = endpointOf(place(withEndpoints([endpointAt('app:8000', hostOf(i))]), 1000))
      rows.add(row)
      slots.add(index)
      if (shared.state(index) !== 0) inherited += 1
      shared.setState(index, STATE.down, true)
    }
    t.equal(rows.size, 1)
    t.equal(slots.size, MAX_ENDPOINTS)
    t.equal(inherited, 0, 'nobody begins with the state of another')
  },
)

t.test('10,000 endpoints that are called by their address do not run out of counters', async t => {
  const { place, columns } = makePlacer(DEFAULT_ROWS)
  let inherited = 0
  for (let i = 0; i < 12_000; i += 1) {
    const { row } = endpointOf(place(withEndpoints([endpointAt(hostOf(i), hostOf(i))]), 1000))
    for (const column of columns) {
      inherited += column.get(row)
      column.add(row, 1)
    }
  }
  t.equal(inherited, 0, 'nobody begins with the count of another')
})

t.test('a slot is another’s only after a minute, when nothing runs there and every thread knows', async t => {
  const all = Array.from({ length: MAX_ENDPOINTS }, (_, i) => endpointAt('app', hostOf(i)))
  const rest = all.slice(1)
  const more = withEndpoints([...rest, endpointAt('new', '192.0.2.1')])
  const start = () => {
    const made = makePlacer(DEFAULT_ROWS)
    return { ...made, index: endpointOf(made.place(withEndpoints(all))).index }
  }
  const early = start()
  early.place(withEndpoints(rest))
  t.throws(() => early.place(more, 59_000), PlacementFull)
  t.equal(endpointOf(early.place(more, 1000), MAX_ENDPOINTS - 1).index, early.index)
  const busy = start()
  busy.shared.acquire(busy.index, 1, 0)
  busy.place(withEndpoints(rest))
  t.throws(() => busy.place(more, 3_600_000), PlacementFull)
  busy.shared.release(busy.index, 1)
  t.equal(endpointOf(busy.place(more), MAX_ENDPOINTS - 1).index, busy.index)
  const ejected = start()
  ejected.shared.setState(ejected.index, STATE.ejected, true)
  ejected.place(withEndpoints(rest))
  t.throws(() => ejected.place(more, 3_600_000), PlacementFull)
  const stuck = start()
  stuck.place(withEndpoints(rest), 0, true)
  t.throws(() => stuck.place(more, 3_600_000, true), PlacementFull)
})

t.test('an endpoint that comes back in time finds its index as it was', async t => {
  const { place } = makePlacer(DEFAULT_ROWS)
  const two = [endpointAt('a', '10.0.0.1'), endpointAt('b', '10.0.0.2')]
  const { index } = endpointOf(place(withEndpoints(two)))
  place(withEndpoints(two.slice(1)))
  t.equal(endpointOf(place(withEndpoints(two), 600_000)).index, index)
  place(withEndpoints(two), 600_000)
  t.equal(endpointOf(place(withEndpoints(two), 600_000)).index, index, 'and is not counted as gone any more')
})

t.test('a placement that is refused leaves nothing behind', async t => {
  const { place } = makePlacer(DEFAULT_ROWS)
  const few = [endpointAt('a', '10.0.0.1'), endpointAt('b', '10.0.0.2')]
  const before = place(withEndpoints(few))
  const many = Array.from({ length: MAX_ENDPOINTS }, (_, i) => endpointAt(`e${i}`, hostOf(i)))
  for (let round = 0; round < 3; round += 1) {
    t.throws(() => place(withEndpoints([...few, ...many])), PlacementFull)
    t.same(place(withEndpoints(few)), before)
  }
  t.equal(place(withEndpoints([...few, ...many.slice(2)])).upstreams[0]?.endpoints.length, MAX_ENDPOINTS)
})
