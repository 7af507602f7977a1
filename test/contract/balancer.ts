import type t from 'tap'
import { mixBits } from '../../upstreams/balancer/key-hash.ts'
import type { NamedLoad, Picker } from '../../upstreams/balancer/load.ts'

type Tap = Pick<typeof t, 'test'>

/** An endpoint whose load the test sets by hand. */
export class Peer implements NamedLoad {
  readonly identity: string
  readonly weight: number
  inflight = 0
  latencyMs = 10

  constructor(identity: string, weight = 1) {
    this.identity = identity
    this.weight = weight
  }
}

/**
 * The same numbers in [0, 1) for the same seed (mulberry32), so that a test of chance always tells the same.
 */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const peers = (...weights: readonly number[]) =>
  weights.map((weight, i) => new Peer(`10.0.0.${i}:8000`, weight))
const keyOf = (request: number) => mixBits(request)

/** Picks for `count` requests that end at once, and says how many each peer got. */
export function tally(picker: Picker<Peer>, ready: readonly Peer[], count: number): number[] {
  const taken = new Map(ready.map(peer => [peer, 0]))
  for (let i = 0; i < count; i += 1) {
    const peer = picker.pick(keyOf(i)) as Peer
    taken.set(peer, (taken.get(peer) ?? 0) + 1)
  }
  return [...taken.values()]
}

/** Keeps `running` requests in flight, the oldest ends first, and says how many each peer got. */
function tallyLoaded(picker: Picker<Peer>, ready: readonly Peer[], count: number, running: number): number[] {
  const taken = new Map(ready.map(peer => [peer, 0]))
  const open: Peer[] = []
  for (let i = 0; i < count; i += 1) {
    const peer = picker.pick(keyOf(i)) as Peer
    taken.set(peer, (taken.get(peer) ?? 0) + 1)
    peer.inflight += 1
    open.push(peer)
    if (open.length > running) (open.shift() as Peer).inflight -= 1
  }
  return [...taken.values()]
}

/** Pearson's chi-square of the counts against the shares that the weights ask for. */
export function chiSquare(counts: readonly number[], weights: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  const cycle = weights.reduce((sum, weight) => sum + weight, 0)
  return counts.reduce((sum, count, i) => {
    const expected = (total * (weights[i] as number)) / cycle
    return sum + (count - expected) ** 2 / expected
  }, 0)
}

/** 2 degrees of freedom: chance exceeds this in one of 10,000 runs. */
export const CHI_SQUARE_LIMIT = 18.4

/** What every policy promises. `make` builds the one under test for a list of ready endpoints. */
export function balancerContract(
  t: Tap,
  name: string,
  make: (ready: readonly Peer[], random: () => number) => Picker<Peer>,
): void {
  t.test(`${name}: picks nobody from an empty list`, async t => {
    const picker = make([], seeded(1))
    t.equal(picker.pick(7), undefined)
    t.equal(picker.pick(7, new Peer('gone')), undefined, 'also when somebody is to be avoided')
  })

  t.test(`${name}: the only endpoint is picked, even if it has just failed`, async t => {
    const [only] = peers(3) as [Peer]
    const picker = make([only], seeded(1))
    t.equal(picker.pick(7), only)
    t.equal(picker.pick(7, only), only)
  })

  t.test(`${name}: an endpoint to be avoided is not picked while there is another`, async t => {
    for (const weights of [
      [1, 1],
      [100, 1],
      [1, 1, 1],
      [1, 5, 1, 20],
    ]) {
      const ready = peers(...weights)
      const picker = make(ready, seeded(2))
      let wrong = 0
      for (let i = 0; i < 500; i += 1) {
        const avoid = ready[i % ready.length] as Peer
        const peer = picker.pick(keyOf(i), avoid)
        if (peer === undefined || peer === avoid) wrong += 1
        else if (i % 3 === 0) peer.inflight += 1
      }
      t.equal(wrong, 0, `weights ${weights}`)
    }
  })

  t.test(`${name}: to avoid an endpoint that is not in the list changes nothing`, async t => {
    const ready = peers(1, 1, 1)
    const picker = make(ready, seeded(3))
    t.ok(ready.includes(picker.pick(5, new Peer('removed')) as Peer))
  })

  t.test(`${name}: weights hold while requests end at once`, async t => {
    const weights = [1, 2, 5]
    const ready = peers(...weights)
    const counts = tally(make(ready, seeded(4)), ready, 8000)
    t.ok(chiSquare(counts, weights) < CHI_SQUARE_LIMIT, `1:2:5 became ${counts}`)
  })

  t.test(`${name}: weights hold while requests pile up`, async t => {
    const weights = [1, 2, 5]
    const ready = peers(...weights)
    const counts = tallyLoaded(make(ready, seeded(5)), ready, 8000, 80)
    for (const [i, weight] of weights.entries()) {
      const share = ((counts[i] as number) * 8) / (8000 * weight)
      t.ok(share > 0.75 && share < 1.3, `weight ${weight} has ${share.toFixed(2)} of its share`)
    }
  })

  t.test(`${name}: of requests that never end nobody gets far more than the mean`, async t => {
    const ready = peers(...Array.from({ length: 20 }, () => 1))
    const counts = tallyLoaded(make(ready, seeded(6)), ready, 2000, 2000)
    t.ok(Math.max(...counts) <= 126, `mean 100, most ${Math.max(...counts)}`)
    t.ok(Math.min(...counts) >= 50, `mean 100, fewest ${Math.min(...counts)}`)
  })

  t.test(`${name}: the same random numbers give the same picks`, async t => {
    const run = () => {
      const ready = peers(1, 2, 5, 1)
      const picker = make(ready, seeded(7))
      return Array.from({ length: 300 }, (_, i) => {
        const peer = picker.pick(keyOf(i)) as Peer
        if (i % 2 === 0) peer.inflight += 1
        return peer.identity
      })
    }
    t.same(run(), run())
  })
}
