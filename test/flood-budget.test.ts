import t from 'tap'
import { ResetTable } from '../lib/front/connection/reset-table.ts'
import { FloodBudget } from '../lib/front/http2/flood-budget.ts'

t.test('a browser that leaves a page may reset all it has asked for', async t => {
  const budget = new FloodBudget(0)
  for (let i = 0; i < 128; i += 1) t.ok(budget.reset(i))
})

t.test('rapid resets are too many soon, and stay so', async t => {
  const budget = new FloodBudget(0)
  let resets = 0
  while (budget.reset(0)) resets += 1
  t.ok(resets >= 200 && resets <= 300, `${resets} at once`)
  t.notOk(budget.reset(1))
})

t.test('with time the budget comes back, but no further than to its beginning', async t => {
  const budget = new FloodBudget(0)
  let first = 0
  while (budget.reset(0)) first += 1
  let later = 0
  while (budget.reset(3_600_000)) later += 1
  t.equal(later, first)
})

t.test('frames that are neither head nor body are counted by their bytes', async t => {
  const budget = new FloodBudget(0)
  let pings = 0
  while (budget.frame(17, 1000)) pings += 1
  t.ok(pings > 3000 && pings < 5000, `${pings} at once`)
})

t.test('a ping now and then goes on for ever', async t => {
  const budget = new FloodBudget(0)
  for (let second = 1; second <= 1000; second += 1) {
    for (let i = 0; i < 50; i += 1) t.ok(budget.frame(17, second * 1000))
  }
})

t.test('who downloads may grant windows', async t => {
  const budget = new FloodBudget(0)
  for (let i = 0; i < 100_000; i += 1) if (!budget.grant(13, 4096, 0)) t.fail(`after ${i}`)
  t.pass('a frame for every 4 KiB')
})

t.test('a window that is granted for nothing is a frame like others', async t => {
  const budget = new FloodBudget(0)
  t.ok(budget.grant(13, 1_000_000_000, 0))
  let grants = 0
  while (budget.grant(13, 1, 0)) grants += 1
  t.ok(grants < 12_000, `${grants}: what was taken is not saved up without end`)
})

t.test('a gRPC client may send a thousand small messages a second for hours', async t => {
  const budget = new FloodBudget(0)
  for (let second = 1; second <= 10_000; second += 1) {
    if (!budget.tiny(1000, second * 1000)) t.fail(`after ${second} seconds`)
    for (let i = 0; i < 50; i += 1)
      if (!budget.frame(17, second * 1000)) t.fail(`a ping after ${second} seconds`)
  }
  t.pass('beside pings')
})

t.test('a flood of tiny frames is over soon', async t => {
  const budget = new FloodBudget(0)
  let frames = 0
  while (budget.tiny(1000, frames / 1000)) frames += 1000
  t.ok(frames >= 200_000 && frames < 400_000, `${frames} at a million a second`)
})

const client = (peerAddress: string, trusted = false) => ({ peerAddress, trusted })

/**
 * Resets until one is refused, by connections of this address that each stop before their own budget does.
 */
function resetsBy(table: ResetTable, peerAddress: string): number {
  let resets = 0
  for (let connection = 0; connection < 100; connection += 1) {
    const budget = new FloodBudget(0, table.of(client(peerAddress), 0))
    for (let i = 0; i < 200; i += 1) {
      if (!budget.reset(0)) return resets
      resets += 1
    }
  }
  return resets
}

t.test('who connects again has no new budget for resets', async t => {
  t.equal(resetsBy(new ResetTable(), '192.0.2.1'), 1000)
})

t.test('addresses of one IPv6 network are one client, others are not', async t => {
  const table = new ResetTable()
  t.equal(resetsBy(table, '2001:db8::1'), 1000)
  t.equal(resetsBy(table, '2001:db8::2'), 0)
  t.equal(resetsBy(table, '2001:db8:0:1::1'), 1000)
  t.equal(resetsBy(table, '192.0.2.1'), 1000)
})

t.test('who has flooded may reset again after a while', async t => {
  const table = new ResetTable()
  resetsBy(table, '192.0.2.1')
  t.ok(new FloodBudget(10_000, table.of(client('192.0.2.1'), 10_000)).reset(10_000))
})

t.test('clients behind a trusted proxy, or on a unix socket, do not share a budget', async t => {
  const table = new ResetTable()
  t.equal(table.of(client('192.0.2.1', true), 0), undefined)
  t.equal(resetsBy(table, ''), 20_000)
  t.equal(table.size, 0)
})

t.test('no more than some thousand addresses are remembered', async t => {
  const table = new ResetTable()
  for (let n = 0; n < 10_000; n += 1) table.of(client(`10.0.${n >> 8}.${n & 255}`), 0)
  t.equal(table.size, 4096)
})
