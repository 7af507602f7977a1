import t from 'tap'
import { CellColumn, CellReader, createCellMemory } from '../lib/base/cells.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { MAX_PAIRS, pairsOf } from '../lib/config/capacity.ts'
import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { ExchangeRows } from '../lib/server/data/exchange-rows.ts'
import { PlaceMemory } from '../lib/server/shared/place-memory.ts'
import { type Placement, PlacementFull, Placer, rowsFor } from '../lib/server/shared/placement.ts'
import { EXCHANGE_BLOCK } from '../metrics/blocks.ts'
import { CATALOGUE } from '../metrics/catalogue.ts'
import { cellSamples } from '../metrics/cell-samples.ts'
import type { Family } from '../metrics/family.ts'
import { mostKept, Shelves } from '../metrics/shelves.ts'

const folder = t.testdir({
  'a.toml': `
    [listeners.web]
    address = "127.0.0.1:0"
    [upstreams.app]
    endpoints = ["127.0.0.1:9001"]
    [routes.app]
    path = "/"
    upstream = "app"`,
})
const loaded = await loadConfig(`${folder}/a.toml`, {})
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
const base = loaded.snapshot
const [app] = base.upstreams
const [route] = base.routes
if (app === undefined || route === undefined) throw new Error('neither upstream nor route')

/** The configuration with one more route and upstream of this name. */
function withMore(name: string): Snapshot {
  return {
    ...base,
    upstreams: [...base.upstreams, { ...(app as typeof app & object), name }],
    routes: [...base.routes, { ...(route as typeof route & object), name }],
  }
}

class Bench {
  readonly shared = new SharedState(createSharedState(2))
  readonly cells = createCellMemory(2, rowsFor(base))
  readonly columns = [0, 1].map(column => new CellColumn(this.cells, column))
  readonly reader = new CellReader(this.cells)
  readonly #shelves = new Shelves(15 * 60_000)
  readonly #placer = new Placer(
    this.cells.rows,
    new PlaceMemory(this.shared, this.cells, row => this.#shelves.forgetting(row, this.reader)),
  )
  readonly moment = { nowMs: 0, serial: 0, applied: 0 }

  /** All threads take it at once, unless `stuck`. */
  place(snapshot: Snapshot, stuck = false): Placement {
    this.moment.nowMs += 1000
    this.moment.serial += 1
    const placement = this.#placer.place(snapshot, this.moment)
    if (!stuck) this.moment.applied = this.moment.serial
    this.#shelves.place(placement, this.moment.nowMs)
    return placement
  }

  /** What a scrape shows of exchanges: their first counter by their labels. */
  shown(): Map<string, number> {
    const { exchange } = this.#shelves.kept(this.moment.nowMs)
    return new Map(exchange.map(({ labels, row }) => [JSON.stringify(labels), this.total(row)]))
  }

  /** The value of a family's only series, or of the one with this label. */
  value(name: string, route?: string): number {
    const family = CATALOGUE.find(found => found.name === name) as Family
    if (family.source.kind === 'read') throw new Error(`${name} has no cells`)
    const { exchange } = this.#shelves.kept(this.moment.nowMs)
    const samples = cellSamples(family, family.source, exchange, this.reader, this.#shelves.rest)
    const wanted = samples.filter(({ sharedLabels }) => sharedLabels?.['route'] === route)
    return wanted.reduce((sum, { value }) => sum + value, 0)
  }

  total(row: number): number {
    return this.columns.reduce((sum, column) => sum + column.get(row), 0)
  }
}

const rowOf = ({ exchanges }: Placement, name: string) =>
  exchanges.find(({ route: found }) => found === name)?.row as number
const upstreamOf = ({ upstreams }: Placement, name: string) =>
  upstreams.find(({ name: found }) => found === name) as Placement['upstreams'][number]

t.test(
  'reloads with a new route and upstream each go on for ever, and take no more and no more places',
  async t => {
    const bench = new Bench()
    const rows = new Set<number>()
    const pools = new Set<number>()
    let inherited = 0
    let fallen = 0
    let shown = bench.shown()
    for (let n = 0; n < 2000; n += 1) {
      const placement = bench.place(withMore(`n${n}`))
      for (const { row } of placement.exchanges) rows.add(row)
      for (const { index } of placement.upstreams) pools.add(index)
      inherited += bench.total(rowOf(placement, `n${n}`)) + bench.total(upstreamOf(placement, `n${n}`).row)
      for (const { row } of [...placement.exchanges, ...placement.upstreams])
        bench.columns[n % 2]?.add(row, 1)
      const now = bench.shown()
      for (const [labels, value] of now) if (value < (shown.get(labels) ?? 0)) fallen += 1
      shown = now
    }
    t.equal(inherited, 0, 'nobody begins with the count of another')
    t.equal(fallen, 0, 'no counter that is shown goes backwards')
    t.ok(rows.size <= 3 + mostKept(3) + 2, `${rows.size} pairs had places`)
    t.ok(pools.size <= 2 + mostKept(2) + 2, `${pools.size} upstreams had places`)
    t.ok(shown.size <= 3 + mostKept(3), `${shown.size} pairs are shown`)
    t.equal(bench.total(rowOf(bench.place(base), 'app')), 2000, 'what stays has all of its counts')
  },
)

t.test('a name that comes back in time counts on, later it begins anew', async t => {
  const bench = new Bench()
  const before = rowOf(bench.place(withMore('back')), 'back')
  bench.columns[0]?.add(before, 7)
  bench.place(base)
  const soon = rowOf(bench.place(withMore('back')), 'back')
  t.equal(soon, before)
  t.equal(bench.total(soon), 7)
  bench.place(base)
  for (let n = 0; n < 200; n += 1) bench.place(withMore(`n${n}`))
  t.equal(bench.total(rowOf(bench.place(withMore('back')), 'back')), 0)
})

t.test('a place is passed on by no thread that still has the old name', async t => {
  const bench = new Bench()
  const first = rowOf(bench.place(withMore('old')), 'old')
  const stuck = new Set<number>()
  for (let n = 0; n < 500; n += 1) stuck.add(rowOf(bench.place(withMore(`n${n}`), true), `n${n}`))
  t.notOk(stuck.has(first))
  t.equal(stuck.size, 500)
})

t.test('an upstream keeps its places while a request runs at one of its endpoints, or waits', async t => {
  for (const busy of ['runs', 'waits']) {
    const bench = new Bench()
    const { row, index, endpoints } = upstreamOf(bench.place(withMore('old')), 'old')
    if (busy === 'runs') bench.shared.acquire(endpoints[0]?.index as number, 1, 0)
    else bench.shared.enterQueue(index, 1, 10)
    const others = { rows: new Set<number>(), slots: new Set<number>() }
    for (let n = 0; n < 500; n += 1) {
      const placed = upstreamOf(bench.place(withMore(`n${n}`)), `n${n}`)
      if (busy === 'runs') others.rows.add(placed.row)
      others.slots.add(placed.index)
    }
    t.notOk(others.rows.has(row))
    t.notOk(others.slots.has(index))
    if (busy === 'runs') bench.shared.release(endpoints[0]?.index as number, 1)
    else bench.shared.leaveQueue(index, 1)
    for (let n = 0; n < 500; n += 1)
      others.slots.add(upstreamOf(bench.place(withMore(`m${n}`)), `m${n}`).index)
    t.ok(others.slots.has(index))
  }
})

t.test('an exchange that outlives its name is counted where nobody else is', async t => {
  const bench = new Bench()
  const rows = new ExchangeRows()
  const first = bench.place(withMore('old'))
  rows.learn(first)
  const old = rowOf(first, 'old')
  rows.learn(bench.place(base))
  t.equal(rows.rowOf('web', 'old'), old, 'it has its place for a while')
  let heir: string | undefined
  for (let n = 0; heir === undefined; n += 1) {
    const placement = bench.place(withMore(`n${n}`))
    rows.learn(placement)
    if (rowOf(placement, `n${n}`) === old) heir = `n${n}`
  }
  t.equal(rows.rowOf('web', heir), old)
  t.equal(rows.rowOf('web', 'old'), rows.rowOf('web', undefined))
})

t.test('a sum over several names does not fall when some of them are forgotten', async t => {
  const bench = new Bench()
  const [web] = base.listeners
  const { generated, shed } = EXCHANGE_BLOCK.at
  for (let n = 0; n < 400; n += 1) {
    const other = { ...(web as typeof web & object), name: `l${n}` }
    const { exchanges } = bench.place({ ...base, listeners: [...base.listeners, other] })
    const row = exchanges.find(it => it.listener === `l${n}` && it.route === 'app')?.row as number
    bench.columns[n % 2]?.add(row + generated, 1)
    bench.columns[n % 2]?.add(row + shed, 1)
    if (n % 20 === 0) bench.place(base)
    t.equal(bench.value('causeway_responses_generated_total', 'app'), n + 1)
    t.equal(bench.value('causeway_shed_requests_total'), n + 1)
  }
  for (let n = 0; n < 2000; n += 1) bench.place(withMore(`n${n}`))
  t.equal(bench.value('causeway_responses_generated_total', 'app'), 400)
  t.equal(bench.value('causeway_shed_requests_total'), 400)
})

t.test(
  'there is room for a multiple of what the start needs, and at the end a word on what to do',
  async t => {
    const many = (count: number): Snapshot => ({
      ...base,
      routes: Array.from({ length: count }, (_, n) => ({
        ...(route as typeof route & object),
        name: `r${n}`,
      })),
    })
    t.equal(pairsOf(many(10)), 11)
    t.ok(rowsFor(many(3000)) > 4 * 3000 * EXCHANGE_BLOCK.size)
    t.equal(rowsFor(many(MAX_PAIRS)), rowsFor(many(2 * MAX_PAIRS)), 'never without end')
    const bench = new Bench()
    bench.place(many(2000))
    t.throws(() => bench.place(many(3000)), PlacementFull)
    t.equal(bench.place(many(2000)).exchanges.length, 2001)
  },
)

t.test('check says what a start would refuse, and warns before', async t => {
  const config = (routes: number, listeners: number) =>
    [
      '[upstreams.app]\nendpoints = ["127.0.0.1:9001"]',
      ...Array.from(
        { length: listeners },
        (_, n) => `[listeners.l${n}]\naddress = "127.0.0.1:${10_000 + n}"`,
      ),
      ...Array.from({ length: routes }, (_, n) => `[routes.r${n}]\npath = "/${n}/"\nupstream = "app"`),
    ].join('\n')
  const load = (routes: number, listeners: number) =>
    loadConfig(`${t.testdir({ 'a.toml': config(routes, listeners) })}/a.toml`, {})
  const fine = await load(600, 2)
  t.ok(fine.ok)
  t.same(fine.ok ? fine.warnings : fine.problems, [], '2 listeners with 600 routes')
  const near = await load(159, 80)
  t.match(near.ok ? near.warnings : [], [
    { message: /^there are 12800 pairs of listener and route; the limit of a process is 16384$/ },
  ])
  const over = await load(204, 80)
  t.match(over.ok ? [] : over.problems, [
    { message: /^there are 16400 pairs of listener and route; the limit of a process is 16384$/ },
  ])
})
