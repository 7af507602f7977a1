import t from 'tap'
import { Kept, KeptKind } from '../lib/base/kept.ts'

const COUNTS = new KeptKind<{ n: number }>('counts')
const OTHERS = new KeptKind<{ n: number }>('others')

t.test('what is held is the same for whoever asks with the same key and kind', async t => {
  const kept = new Kept()
  const first = kept.get(COUNTS, 'a', () => ({ n: 1 }))
  first.n = 2
  t.equal(
    kept.get(COUNTS, 'a', () => ({ n: 3 })),
    first,
  )
  t.same(
    [kept.get(COUNTS, 'b', () => ({ n: 4 })), kept.get(OTHERS, 'a', () => ({ n: 5 }))],
    [{ n: 4 }, { n: 5 }],
    'another key, another kind',
  )
  t.ok([...kept.values(COUNTS)].includes(first))
})

t.test('what nobody holds any more is made anew', async t => {
  const kept = new Kept()
  kept.get(COUNTS, 'a', () => ({ n: 1 }))
  // A weak reference holds to the end of its turn.
  await new Promise(resolve => setImmediate(resolve))
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  t.equal([...kept.values(COUNTS)].length, 0)
  t.same(
    kept.get(COUNTS, 'a', () => ({ n: 2 })),
    { n: 2 },
  )
})
