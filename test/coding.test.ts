import t from 'tap'
import { type Coding, CodingChoices, chooseCoding } from '../lib/http/coding.ts'
import { mediaTypeOf } from '../lib/http/media.ts'

const ALL: readonly Coding[] = ['br', 'zstd', 'gzip']

t.test('the coding with the highest weight wins, then our order (RFC 9110 12.5.3)', async t => {
  for (const [accept, expected] of [
    [undefined, undefined],
    ['', undefined],
    ['gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, deflate, zstd', 'zstd'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['deflate', undefined],
    ['br;q=0.5, gzip;q=0.8', 'gzip'],
    ['br;q=0.123, gzip;q=0.124', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['br ; q=0 , gzip\t;\tq=1.000', 'gzip'],
    ['br;Q=0,gzip', 'gzip'],
    ['*', 'br'],
    ['*;q=0', undefined],
    ['br;q=0, *', 'zstd'],
    ['gzip, *;q=0', 'gzip'],
    ['identity', undefined],
    ['identity, gzip;q=0.5', undefined],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    ['identity;q=0, gzip;q=0.001', 'gzip'],
    ['identity;q=0', undefined],
    ['brotli, gzipped', undefined],
    ['br;q=2, gzip;q=0.1', 'gzip'],
    ['br;q=, gzip;q=0.1', 'gzip'],
    ['br;q=1.5, gzip;q=0.1', 'gzip'],
    ['br;q=0.5x, gzip;q=0.1', 'gzip'],
    ['br;q=0.1234, gzip;q=0.1', 'gzip'],
    ['br;level=9, gzip;q=0.1', 'gzip'],
    [',,gzip,', 'gzip'],
    ['b', undefined],
    ['br;', undefined],
  ] as const) {
    t.equal(chooseCoding(accept, ALL), expected, `${accept}`)
  }
})

t.test('choices that are remembered are the same choices, however many values come', async t => {
  const choices = new CodingChoices(ALL)
  for (let round = 0; round < 3; round += 1) {
    for (const accept of [undefined, '', 'gzip', 'gzip, br', 'identity', 'br;q=0.5, gzip']) {
      t.equal(choices.choose(accept), chooseCoding(accept, ALL), `${accept}`)
    }
    for (let i = 0; i < 100; i += 1) t.equal(choices.choose(`x${i}, zstd`), 'zstd')
  }
  t.equal(new CodingChoices([]).choose('br'), undefined)
})

t.test('only what is offered is chosen', async t => {
  t.equal(chooseCoding('br, gzip;q=0.1', ['gzip']), 'gzip')
  t.equal(chooseCoding('br', ['gzip']), undefined)
  t.equal(chooseCoding('*', []), undefined)
})

t.test('files have the media type of their ending, and text says that it is UTF-8', async t => {
  for (const [name, type] of [
    ['a.css', 'text/css; charset=utf-8'],
    ['a.JS', 'text/javascript; charset=utf-8'],
    ['a.mjs', 'text/javascript; charset=utf-8'],
    ['a.html', 'text/html; charset=utf-8'],
    ['a.json', 'application/json; charset=utf-8'],
    ['a.webmanifest', 'application/manifest+json; charset=utf-8'],
    ['a.svg', 'image/svg+xml'],
    ['a.png', 'image/png'],
    ['favicon.ico', 'image/x-icon'],
    ['a.woff2', 'font/woff2'],
    ['a.wasm', 'application/wasm'],
    ['a.css.gz', 'application/gzip'],
    ['css/a.b/README', 'application/octet-stream'],
    ['a.', 'application/octet-stream'],
    ['css', 'application/octet-stream'],
    ['a.__proto__', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
  ] as const) {
    t.equal(mediaTypeOf(name), type, name)
  }
})
