import fc from 'fast-check'
import t from 'tap'
import {
  formatDuration,
  formatSize,
  parseDuration,
  parsePercent,
  parseRate,
  parseSize,
} from '../lib/base/units.ts'

t.test('durations are read in every unit and in falling combinations', t => {
  const rows: [string, number][] = [
    ['500ms', 500],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['1d2h3m4s5ms', 93_784_005],
    ['1.5s', 1500],
    ['0s', 0],
  ]
  for (const [text, ms] of rows) t.equal(parseDuration(text), ms, text)
  t.end()
})

t.test('what only looks like a duration is none', t => {
  for (const text of [
    '',
    '5',
    's',
    '5 s',
    '5S',
    '30s1m',
    '1s1s',
    '-5s',
    '.5s',
    '5s ',
    '1e3s',
    '5sec',
    'ms',
  ]) {
    t.equal(parseDuration(text), undefined, JSON.stringify(text))
  }
  t.end()
})

t.test('a printed duration is read back as the same time', t => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 11 }), ms => parseDuration(formatDuration(ms)) === ms),
  )
  t.equal(formatDuration(90_000), '1m30s')
  t.end()
})

t.test('sizes: KiB and a bare letter are binary, kB is decimal', t => {
  const rows: [string, number][] = [
    ['10MiB', 10 * 1024 ** 2],
    ['64KiB', 65_536],
    ['1GB', 1e9],
    ['64k', 65_536],
    ['64K', 65_536],
    ['1kB', 1000],
    ['2m', 2 * 1024 ** 2],
    ['1g', 1024 ** 3],
    ['512B', 512],
    ['1.5KiB', 1536],
  ]
  for (const [text, bytes] of rows) t.equal(parseSize(text), bytes, text)
  t.end()
})

t.test('a size without a known unit is none', t => {
  for (const text of ['', '10', 'MiB', '10 MiB', '10mib', '-1k', '1TB', '1constructor']) {
    t.equal(parseSize(text), undefined, JSON.stringify(text))
  }
  t.end()
})

t.test('a printed size is read back as the same number of bytes', t => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 45 }), bytes => parseSize(formatSize(bytes)) === bytes),
  )
  t.equal(formatSize(65_536), '64KiB')
  t.equal(formatSize(1000), '1kB')
  t.end()
})

t.test('rates and percentages carry their unit', t => {
  t.equal(parseRate('240B/s'), 240)
  t.equal(parseRate('1KiB/s'), 1024)
  for (const text of ['240B', '240/s', '/s', '240B/m']) t.equal(parseRate(text), undefined, text)
  t.equal(parsePercent('20%'), 0.2)
  t.equal(parsePercent('0%'), 0)
  for (const text of ['20', '%', '-1%', '20 %']) t.equal(parsePercent(text), undefined, text)
  t.end()
})
