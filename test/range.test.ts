import fc from 'fast-check'
import t from 'tap'
import { selectRange } from '../lib/http/range.ts'

t.test('one range is honoured, everything else gets the whole (RFC 9110 14.2)', async t => {
  for (const [value, expected] of [
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=0-99', { first: 0, last: 99 }],
    ['Bytes=10-19', { first: 10, last: 19 }],
    ['bytes=90-1000', { first: 90, last: 99 }],
    ['bytes=90-', { first: 90, last: 99 }],
    ['bytes=-10', { first: 90, last: 99 }],
    ['bytes=-1000', { first: 0, last: 99 }],
    ['bytes=0-99999999999999999999999999', { first: 0, last: 99 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=100-200', 'unsatisfiable'],
    ['bytes=99999999999999999999999999-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=0-1,2-3', 'full'],
    ['bytes=0-1, bytes=2-3', 'full'],
    ['bytes=20-10', 'full'],
    ['bytes=-', 'full'],
    ['bytes=', 'full'],
    ['bytes=a-b', 'full'],
    ['bytes=1', 'full'],
    ['bytes=--1', 'full'],
    ['bytes=+1-2', 'full'],
    ['bytes=0x1-2', 'full'],
    ['bytes= 0-1', 'full'],
    ['bytes:0-1', 'full'],
    ['items=0-1', 'full'],
    ['', 'full'],
  ] as const) {
    t.same(selectRange(value, 100), expected, value)
  }
})

t.test('nothing has no parts', async t => {
  t.equal(selectRange('bytes=0-', 0), 'unsatisfiable')
  t.equal(selectRange('bytes=-5', 0), 'full')
})

t.test('a selected range lies within the file', async () => {
  const value = fc
    .tuple(fc.option(fc.nat(300)), fc.option(fc.nat(300)))
    .map(([a, b]) => `bytes=${a ?? ''}-${b ?? ''}`)
  fc.assert(
    fc.property(value, fc.nat(200), (value, length) => {
      const range = selectRange(value, length)
      return (
        typeof range === 'string' || (range.first >= 0 && range.first <= range.last && range.last < length)
      )
    }),
  )
})
