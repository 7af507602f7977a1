import t from 'tap'
import { FieldList } from '../lib/http/field-list.ts'
import { limitRateOf, overlayOf } from '../lib/static/internal-answer.ts'
import { withCharset } from '../lib/static/representation.ts'

// The words by which apps tell the server in front how to send a file.

t.test('X-Accel-Limit-Rate is digits', async t => {
  for (const [value, rate] of [
    ['1000', 1000],
    ['0', 0],
    ['', 0],
    ['off', 0],
    ['-1', 0],
    ['1k', 0],
    ['1e9', 0],
  ] as const) {
    t.equal(limitRateOf(FieldList.of([['X-Accel-Limit-Rate', value]])), rate, value)
  }
  t.equal(limitRateOf(FieldList.of([])), 0)
})

t.test("X-Accel-Charset stands in place of the charset, ours or the app's", async t => {
  const overlay = (...pairs: (readonly [string, string])[]) =>
    overlayOf({ fields: FieldList.of(pairs), bytesPerSecond: 0 }, 0)
  t.equal(overlay(['X-Accel-Charset', 'koi8-r']).charset, 'koi8-r')
  t.equal(overlay(['X-Accel-Charset', 'a b']).charset, undefined)
  t.same(overlay(['Content-Type', 'text/plain; charset=utf-8'], ['X-Accel-Charset', 'koi8-r']).fields, [
    ['Content-Type', 'text/plain; charset=koi8-r'],
  ])
  t.equal(withCharset('text/css; charset=utf-8', 'off'), 'text/css')
  t.equal(withCharset('text/css; charset=utf-8', undefined), 'text/css; charset=utf-8')
})
