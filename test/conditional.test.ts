import t from 'tap'
import { checkPreconditions, ifRangeHolds, isConditional, listsTag } from '../lib/http/conditional.ts'
import { parseHttpDate } from '../lib/http/date.ts'
import { FieldList } from '../lib/http/field-list.ts'

const LAST_MODIFIED_MS = Date.UTC(2026, 10, 22, 10, 0, 0)
const NOW = {
  etag: '"abc"',
  lastModified: new Date(LAST_MODIFIED_MS).toUTCString(),
  lastModifiedMs: LAST_MODIFIED_MS,
}
const WALL_MS = LAST_MODIFIED_MS + 3_600_000
const BEFORE = new Date(LAST_MODIFIED_MS - 1000).toUTCString()
const AFTER = new Date(LAST_MODIFIED_MS + 1000).toUTCString()

type Pair = readonly [name: string, value: string]
const check = (...pairs: readonly Pair[]) => checkPreconditions(FieldList.of(pairs), NOW, WALL_MS)

t.test('entity tags are found in lists, weakly or strongly (RFC 9110 8.8.3.2)', async t => {
  for (const [list, weak, strong] of [
    ['"abc"', true, true],
    ['W/"abc"', true, false],
    ['"x", "abc"', true, true],
    ['"x",,\t"abc" ,', true, true],
    ['"x", W/"abc"', true, false],
    ['"a,b", "abc"', true, true],
    ['*', true, true],
    ['"abcd"', false, false],
    ['"ab"', false, false],
    ['"ABC"', false, false],
    ['abc', false, false],
    ['w/"abc"', false, false],
    ['"abc', false, false],
    ['"x" junk "abc"', false, false],
    ['"x", *', false, false],
    ['', false, false],
  ] as const) {
    t.equal(listsTag(list, NOW.etag, true), weak, `${list} weak`)
    t.equal(listsTag(list, NOW.etag, false), strong, `${list} strong`)
  }
})

t.test(
  'If-None-Match answers 304, and If-Modified-Since is then not looked at (RFC 9110 13.1.3)',
  async t => {
    t.equal(check(['If-None-Match', 'W/"abc"']), 'not-modified')
    t.equal(check(['If-None-Match', '*']), 'not-modified')
    t.equal(
      check(['If-None-Match', '"x"'], ['If-None-Match', '"abc"']),
      'not-modified',
      'two lines, one list',
    )
    t.equal(check(['If-None-Match', '"x"'], ['If-Modified-Since', AFTER]), 'pass')
  },
)

t.test('If-Modified-Since answers 304 unless the file is newer', async t => {
  t.equal(check(['If-Modified-Since', NOW.lastModified]), 'not-modified')
  t.equal(check(['If-Modified-Since', AFTER]), 'not-modified')
  t.equal(check(['If-Modified-Since', BEFORE]), 'pass')
  t.equal(check(['If-Modified-Since', 'yesterday']), 'pass', 'what is no date is ignored')
  t.equal(check(['If-Modified-Since', NOW.lastModified], ['If-Modified-Since', AFTER]), 'pass', 'nor are two')
})

t.test('If-Match and If-Unmodified-Since answer 412, before anything else (RFC 9110 13.2.2)', async t => {
  t.equal(check(['If-Match', '"abc"']), 'pass')
  t.equal(check(['If-Match', '*']), 'pass')
  t.equal(check(['If-Match', 'W/"abc"']), 'failed', 'compared strongly')
  t.equal(check(['If-Match', '"x"'], ['If-None-Match', '"abc"']), 'failed')
  t.equal(check(['If-Match', '"abc"'], ['If-Unmodified-Since', BEFORE]), 'pass', 'If-Match decides alone')
  t.equal(check(['If-Unmodified-Since', BEFORE]), 'failed')
  t.equal(check(['If-Unmodified-Since', NOW.lastModified]), 'pass')
  t.equal(check(['If-Unmodified-Since', 'x']), 'pass')
})

t.test('If-Range holds for the very tag or a date that can be trusted (RFC 9110 13.1.5)', async t => {
  const holds = (value: string, wallMs = WALL_MS) =>
    ifRangeHolds(FieldList.of([['If-Range', value]]), NOW, wallMs)
  t.ok(ifRangeHolds(FieldList.of([]), NOW, WALL_MS))
  t.ok(holds('"abc"'))
  t.notOk(holds('W/"abc"'))
  t.notOk(holds('"x"'))
  t.ok(holds(NOW.lastModified))
  t.notOk(holds(AFTER), 'later is not the same')
  t.notOk(holds(NOW.lastModified, LAST_MODIFIED_MS + 500), 'in its first second a file may change again')
})

t.test('a plain request is seen as one', async t => {
  t.notOk(
    isConditional(
      FieldList.of([
        ['Accept', '*/*'],
        ['Host', 'x'],
        ['If-Range', '"abc"'],
      ]),
    ),
  )
  t.ok(isConditional(FieldList.of([['Range', 'bytes=0-1']])))
  t.ok(
    isConditional(
      FieldList.of([
        ['Host', 'x'],
        ['if-none-match', '"abc"'],
      ]),
    ),
  )
})

t.test('the three forms of an HTTP-date are read, and nothing else (RFC 9110 5.6.7)', async t => {
  const same = Date.UTC(1994, 10, 6, 8, 49, 37)
  t.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT', WALL_MS), same)
  t.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', WALL_MS), same)
  t.equal(parseHttpDate('Sun Nov  6 08:49:37 1994', WALL_MS), same)
  t.equal(
    parseHttpDate('Sunday, 06-Nov-76 08:49:37 GMT', WALL_MS),
    Date.UTC(2076, 10, 6, 8, 49, 37),
    '50 years ahead',
  )
  t.equal(
    parseHttpDate('Sunday, 06-Nov-77 08:49:37 GMT', WALL_MS),
    Date.UTC(1977, 10, 6, 8, 49, 37),
    '51 are past',
  )
  for (const text of [
    '',
    '0',
    '2026-11-22',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'sun, 06 nov 1994 08:49:37 gmt',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:49:37 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
  ]) {
    t.equal(parseHttpDate(text, WALL_MS), undefined, text)
  }
})
