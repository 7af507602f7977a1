import t from 'tap'
import { mayCollect, mayCompact, type ThreadLook } from '../lib/server/shared/thread-memory.ts'

const MIB = 1024 * 1024
const look = (changes: Partial<ThreadLook>): ThreadLook => ({
  usedBytes: 100 * MIB,
  leastBytes: 40 * MIB,
  sinceCollectedMs: 60_000,
  pauseMs: 40,
  busy: 0.01,
  memoryShort: false,
  ...changes,
})

t.test('an idle thread collects what clients have left behind', async t => {
  t.ok(mayCollect(look({})))
  t.notOk(mayCollect(look({ usedBytes: 43 * MIB })), 'not for a little')
  t.notOk(mayCollect(look({ sinceCollectedMs: 5000 })), 'not again and again')
})

t.test('a thread that works pauses for nobody, unless memory is short', async t => {
  t.notOk(mayCollect(look({ busy: 0.3 })))
  t.ok(mayCollect(look({ busy: 0.9, memoryShort: true, sinceCollectedMs: 1000 })))
  t.notOk(mayCollect(look({ busy: 0.9, memoryShort: true, sinceCollectedMs: 500 })))
  const large = { busy: 0.9, memoryShort: true, pauseMs: 300 }
  t.notOk(mayCollect(look({ ...large, sinceCollectedMs: 5900 })), 'the longer it takes, the rarer it is')
  t.ok(mayCollect(look({ ...large, sinceCollectedMs: 6000 })))
})

t.test('an idle thread compacts a heap of which much is free and none of it comes back', async t => {
  const scattered = { scatteredBytes: 17 * MIB, leftBytes: MIB, sinceCompactedMs: 60_000, busy: 0.01 }
  t.ok(mayCompact(scattered))
  t.notOk(mayCompact({ ...scattered, scatteredBytes: 5 * MIB }), 'not for a little')
  t.notOk(mayCompact({ ...scattered, leftBytes: 12 * MIB }), 'not where the last time left as much')
  t.notOk(mayCompact({ ...scattered, sinceCompactedMs: 5000 }), 'not again and again')
  t.notOk(mayCompact({ ...scattered, busy: 0.3 }), 'not while others wait')
})
