import t from 'tap'
import { BALANCE_POLICIES } from '../lib/config/balance-policies.ts'
import { HashPicker } from '../upstreams/balancer/hash.ts'
import { hashKey, mixBits } from '../upstreams/balancer/key-hash.ts'
import { LeastInflight } from '../upstreams/balancer/least-inflight.ts'
import { P2c } from '../upstreams/balancer/p2c.ts'
import { PeakEwma, PeakEwmaPicker } from '../upstreams/balancer/peak-ewma.ts'
import { makePicker } from '../upstreams/balancer/policies.ts'
import { RoundRobin } from '../upstreams/balancer/round-robin.ts'
import { WeightedDraw } from '../upstreams/balancer/weighted-draw.ts'
import {
  balancerContract,
  CHI_SQUARE_LIMIT,
  chiSquare,
  Peer,
  peers,
  seeded,
  tally,
} from './contract/balancer.ts'

for (const policy of BALANCE_POLICIES) {
  balancerContract(t, policy, (ready, random) => makePicker(policy, ready, random))
}

t.test('a policy of the configuration is the picker of that name', async t => {
  const made = (policy: Parameters<typeof makePicker>[0]) => makePicker(policy, peers(1), Math.random)
  t.ok(made('p2c') instanceof P2c)
  t.ok(made('round-robin') instanceof RoundRobin)
  t.ok(made('least-inflight') instanceof LeastInflight)
  t.ok(made('peak-ewma') instanceof PeakEwmaPicker)
  t.ok(made('hash') instanceof HashPicker)
})

t.test('weighted draw', async t => {
  await t.test('gives every index its share', async t => {
    const weights = [1, 2, 5]
    const draw = new WeightedDraw(weights, seeded(1))
    const counts = [0, 0, 0]
    for (let i = 0; i < 9000; i += 1) {
      const index = draw.draw()
      counts[index] = (counts[index] as number) + 1
    }
    t.ok(chiSquare(counts, weights) < CHI_SQUARE_LIMIT, `${counts}`)
  })

  await t.test('the other one is always another one', async t => {
    for (const weights of [
      [1, 1],
      [1000, 1],
      [1, 2, 3],
    ]) {
      const draw = new WeightedDraw(weights, seeded(2))
      const drawn = new Set<number>()
      for (let i = 0; i < 2000; i += 1) drawn.add(draw.drawOther(0))
      t.same([...drawn].sort(), weights.map((_, i) => i).slice(1), `weights ${weights}`)
    }
  })
})

t.test('p2c', async t => {
  await t.test('takes the less loaded of two, measured by weight', async t => {
    const [light, heavy] = peers(1, 4) as [Peer, Peer]
    const picker = new P2c([light, heavy], seeded(1))
    light.inflight = 2
    heavy.inflight = 7
    t.same(tally(picker, [light, heavy], 50), [0, 50], '7/4 is less than 2/1')
    heavy.inflight = 9
    t.same(tally(picker, [light, heavy], 50), [50, 0], '9/4 is more')
  })

  await t.test(
    'keeps the fullest endpoint far below a random choice (n requests on n endpoints)',
    async t => {
      const fill = (pick: (ready: readonly Peer[]) => Peer) => {
        const ready = peers(...Array.from({ length: 1000 }, () => 1))
        for (let i = 0; i < 1000; i += 1) pick(ready).inflight += 1
        return Math.max(...ready.map(peer => peer.inflight))
      }
      const random = seeded(3)
      const one = fill(ready => ready[Math.floor(random() * ready.length)] as Peer)
      let picker: P2c<Peer> | undefined
      const two = fill(ready => {
        picker ??= new P2c(ready, random)
        return picker.pick(0) as Peer
      })
      t.ok(two <= 4, `log log n + O(1): ${two}`)
      t.ok(one > two, `random: ${one}`)
    },
  )
})

t.test('round robin', async t => {
  await t.test('spreads a heavy weight smoothly (5, 1, 1 as nginx)', async t => {
    const ready = peers(5, 1, 1)
    const picker = new RoundRobin(ready, () => 0)
    const turns = Array.from({ length: 14 }, () => ready.indexOf(picker.pick(0) as Peer)).join('')
    t.equal(turns, '00102000010200')
  })

  await t.test('equal weights take strict turns', async t => {
    const ready = peers(1, 1, 1)
    const picker = new RoundRobin(ready, () => 0.99)
    const turns = Array.from({ length: 6 }, () => ready.indexOf(picker.pick(0) as Peer)).join('')
    t.equal(turns, '201201')
  })

  await t.test('pickers of several threads start at different turns', async t => {
    const random = seeded(5)
    const first = () => new RoundRobin(peers(1, 1, 1, 1), random).pick(0)?.identity
    t.ok(new Set(Array.from({ length: 20 }, first)).size > 2)
  })

  await t.test('a turn that avoids an endpoint costs it nothing', async t => {
    const ready = peers(1, 1)
    const picker = new RoundRobin(ready, () => 0)
    const [a, b] = ready as [Peer, Peer]
    t.equal(picker.pick(0, a), b)
    t.same(tally(picker, ready, 100), [50, 50])
  })
})

t.test('least inflight', async t => {
  await t.test('finds the one that is least loaded for its weight', async t => {
    const ready = peers(1, 3, 1, 2)
    const loads = [3, 5, 2, 5]
    for (const [i, peer] of ready.entries()) peer.inflight = loads[i] as number
    const picker = new LeastInflight(ready, seeded(1))
    t.same(tally(picker, ready, 20), [0, 20, 0, 0], '5/3 is the least')
  })

  await t.test('draws among ties only', async t => {
    const ready = peers(1, 1, 1, 1)
    ;(ready[1] as Peer).inflight = 1
    const counts = tally(new LeastInflight(ready, seeded(2)), ready, 3000)
    t.equal(counts[1], 0)
    t.ok(chiSquare([counts[0], counts[2], counts[3]] as number[], [1, 1, 1]) < CHI_SQUARE_LIMIT, `${counts}`)
  })

  await t.test('allows nobody a lead of more than one', async t => {
    const ready = peers(1, 1, 1, 1, 1)
    const picker = new LeastInflight(ready, seeded(3))
    for (let i = 0; i < 503; i += 1) (picker.pick(0) as Peer).inflight += 1
    const loads = ready.map(peer => peer.inflight)
    t.equal(Math.max(...loads) - Math.min(...loads), 1)
  })
})

t.test('hash', async t => {
  const keys = Array.from({ length: 5000 }, (_, i) => hashKey(`198.51.100.${i}`))
  const choices = (ready: readonly Peer[]) => {
    const picker = new HashPicker(ready)
    return keys.map(key => picker.pick(key)?.identity as string)
  }
  const ten = () => peers(...Array.from({ length: 10 }, () => 1))

  await t.test('a key stays with its endpoint, whatever the order of the list', async t => {
    t.same(choices(ten()), choices(ten().reverse()))
  })

  await t.test('removing an endpoint moves only its own keys', async t => {
    const ready = ten()
    const before = choices(ready)
    const gone = ready[3]?.identity
    const after = choices(ready.filter(peer => peer.identity !== gone))
    const moved = before.filter((identity, i) => identity !== after[i])
    t.ok(moved.length > 0)
    t.ok(moved.every(identity => identity === gone))
  })

  await t.test('a new endpoint takes its share from all, and no key moves between the others', async t => {
    const before = choices(ten())
    const after = choices([...ten(), new Peer('10.0.1.1:8000')])
    const moved = after.filter((identity, i) => identity !== before[i])
    t.ok(moved.every(identity => identity === '10.0.1.1:8000'))
    t.ok(moved.length > 350 && moved.length < 560, `${moved.length} of 5000, a share is 455`)
  })

  await t.test('one hot key never fills its endpoint above 1.25 of the mean', async t => {
    const ready = ten()
    const picker = new HashPicker(ready)
    for (let i = 1; i <= 400; i += 1) {
      const peer = picker.pick(42) as Peer
      peer.inflight += 1
      if (peer.inflight > Math.ceil((1.25 * i) / 10)) t.fail(`${peer.inflight} of ${i} on one endpoint`)
    }
    t.ok(ready.filter(peer => peer.inflight > 0).length >= 8, 'the rest spills to the next choices')
  })

  await t.test('a failed endpoint is avoided even when all others are at their bound', async t => {
    const ready = peers(1, 1, 1)
    const [failed] = ready as [Peer]
    for (const peer of ready) peer.inflight = peer === failed ? 0 : 50
    const picker = new HashPicker(ready)
    for (const key of keys.slice(0, 50)) t.not(picker.pick(key, failed), failed)
  })

  await t.test('FNV-1a as published, and unsigned', async t => {
    t.equal(hashKey(''), 0x811c9dc5)
    t.equal(hashKey('a'), 0xe40c292c)
    t.equal(hashKey('foobar'), 0xbf9cf968)
  })

  await t.test('mixing is one to one and unsigned', async t => {
    const mixed = new Set(Array.from({ length: 10_000 }, (_, i) => mixBits(i)))
    t.equal(mixed.size, 10_000)
    t.ok([...mixed].every(value => value >= 0 && value < 2 ** 32 && Number.isInteger(value)))
  })
})

t.test('peak ewma: the picker', async t => {
  await t.test('of two equally loaded endpoints the faster is picked', async t => {
    const [fast, slow] = peers(1, 1) as [Peer, Peer]
    slow.latencyMs = 50
    t.same(tally(new PeakEwmaPicker([fast, slow], seeded(1)), [fast, slow], 50), [50, 0])
  })

  await t.test('a fast one that is busy loses against a slower one that is free', async t => {
    const [fast, slow] = peers(1, 1) as [Peer, Peer]
    slow.latencyMs = 50
    fast.inflight = 9
    t.same(tally(new PeakEwmaPicker([fast, slow], seeded(1)), [fast, slow], 50), [0, 50], '10 * 5.5 > 50 * 1')
  })
})

t.test('peak ewma: the estimate', async t => {
  const settled = (ms: number) => {
    const estimate = new PeakEwma(0)
    estimate.observe(ms, 0)
    for (let nowMs = 0; nowMs <= 100_000; nowMs += 100) estimate.observe(ms, nowMs)
    return estimate
  }

  await t.test('starts cautious', async t => {
    t.equal(new PeakEwma(0).value(0), 30)
  })

  await t.test('a peak counts at once and in full', async t => {
    const estimate = settled(10)
    t.ok(Math.abs(estimate.value(100_000) - 10) < 0.5)
    estimate.observe(800, 100_010)
    t.equal(estimate.value(100_010), 800)
  })

  await t.test('a good answer after a peak is believed bit by bit', async t => {
    const estimate = new PeakEwma(0)
    estimate.observe(800, 0)
    estimate.observe(10, 1000)
    const soon = estimate.value(1000)
    t.ok(soon > 700 && soon < 800, `${soon}`)
    for (let nowMs = 2000; nowMs <= 60_000; nowMs += 1000) estimate.observe(10, nowMs)
    t.ok(estimate.value(60_000) < 15)
  })

  await t.test('without news it fades to 1 ms and no further', async t => {
    const estimate = new PeakEwma(0)
    estimate.observe(800, 0)
    t.ok(estimate.value(10_000) < 300)
    t.equal(estimate.value(1_000_000), 1)
  })

  await t.test('an observation from the past neither grows nor breaks it', async t => {
    const estimate = new PeakEwma(5000)
    estimate.observe(100, 5000)
    estimate.observe(50, 4000)
    t.equal(estimate.value(4000), 100)
    t.equal(estimate.value(5000), 100)
  })
})
