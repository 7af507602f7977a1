import t from 'tap'
import { FloodBudget } from '../lib/front/flood-budget.ts'

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

t.test('heads and bodies are what a connection is for', async t => {
  const budget = new FloodBudget(0)
  let read = 0
  let bodies = 0
  for (let second = 1; second <= 100; second += 1) {
    for (let i = 0; i < 5000; i += 1) budget.head(400)
    bodies += 50_000_000
    read += 5000 * 60 + 50_000_000
    t.ok(budget.look(read, second * 1000, bodies, second * 1000))
  }
})

t.test('frames that are neither are counted by their bytes', async t => {
  const budget = new FloodBudget(0)
  t.ok(budget.look(20_000, 0, 0, 1000))
  t.notOk(budget.look(200_000, 0, 0, 2000), '10,000 pings in a second')
})

t.test('a ping now and then goes on for ever', async t => {
  const budget = new FloodBudget(0)
  for (let second = 1; second <= 1000; second += 1) t.ok(budget.look(second * 1000, 0, 0, second * 1000))
})

t.test('who downloads may grant windows', async t => {
  const budget = new FloodBudget(0)
  for (let second = 1; second <= 100; second += 1)
    t.ok(budget.look(second * 700_000, second * 100_000_000, 0, second * 1000))
})

t.test('the rest of a body that was not wanted may still come', async t => {
  const budget = new FloodBudget(0)
  budget.drop(1_000_000)
  t.ok(budget.look(600_000, 0, 0, 1000))
  t.ok(budget.look(1_000_000, 0, 0, 2000))
  t.notOk(budget.look(1_200_000, 0, 0, 3000), 'but not more')
})

t.test('what heads leave unused is not saved up', async t => {
  const budget = new FloodBudget(0)
  for (let i = 0; i < 1000; i += 1) budget.head(1000)
  t.ok(budget.look(10_000, 0, 0, 1000))
  t.notOk(budget.look(200_000, 0, 0, 2000))
})
