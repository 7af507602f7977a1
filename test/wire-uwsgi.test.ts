import fc from 'fast-check'
import t from 'tap'
import { uwsgiPacket } from '../lib/wire/uwsgi-packet.ts'
import { pathBytes, UwsgiVariables, utf8Bytes } from '../lib/wire/uwsgi-variables.ts'
import { readPacket } from './support/strict-packet.ts'

/** Any bytes, as latin1 text. */
const latin1 = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map(bytes => Buffer.from(bytes).toString('latin1'))

function read(packet: ReturnType<typeof uwsgiPacket>) {
  if (typeof packet !== 'string') throw new Error(`refused: ${JSON.stringify(packet)}`)
  return readPacket(Buffer.from(packet, 'latin1'))
}

t.test('a packet has its bytes where nginx puts them', async t => {
  const packet = uwsgiPacket([
    ['REQUEST_METHOD', 'GET'],
    ['QUERY_STRING', ''],
  ])
  const pairs = '\x0e\0REQUEST_METHOD\x03\0GET\x0c\0QUERY_STRING\0\0'
  t.equal(packet, `\0${String.fromCharCode(pairs.length)}\0\0${pairs}`)
})

t.test('whatever goes in comes out again, byte for byte', async t => {
  const pairs = fc.uniqueArray(fc.tuple(latin1(1, 300), latin1(0, 700)), { selector: ([key]) => key })
  fc.assert(
    fc.property(pairs, given => {
      const found = read(uwsgiPacket(given))
      t.same([...(found?.variables ?? [])], given)
      t.equal(found?.size, uwsgiPacket(given).toString().length)
    }),
  )
})

t.test('what 16 bits cannot say is refused, and the largest that they can is not', async t => {
  const large = (bytes: number) => 'x'.repeat(bytes)
  // A pair takes four bytes more than its texts.
  t.equal(read(uwsgiPacket([['K', large(65_530)]]))?.variables.get('K')?.length, 65_530)
  t.same(uwsgiPacket([['K', large(65_531)]]), { refused: 'block', bytes: 65_536 })
  t.same(uwsgiPacket([['K', large(65_536)]]), { refused: 'value', bytes: 65_536 })
  t.same(uwsgiPacket([[large(70_000), '']]), { refused: 'key', bytes: 70_000 })
  const many = Array.from({ length: 100 }, (_, n): [string, string] => [`K${n}`, large(1000)])
  t.match(uwsgiPacket(many), { refused: 'block' })
})

t.test('fields become variables: one key each, and never one that uWSGI takes orders from', async t => {
  const all = new UwsgiVariables()
  all.set('CONTENT_TYPE', '')
  const fields: [string, string][] = [
    ['Accept', 'text/html'],
    ['accept', 'text/plain'],
    ['Content-Type', 'text/x'],
    ['Content-Length', '5'],
    ['content-encoding', 'gzip'],
    ['Proxy', 'http://evil.example'],
    ['X_Script', 'evil'],
    ['X.Script', 'evil'],
    ['UWSGI-FILE', '/tmp/evil.py'],
  ]
  for (const [name, value] of fields) all.addField(name, value)
  all.addLines('X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n')
  const variables = read(all.toPacket())?.variables ?? new Map<string, string>()
  t.same(Object.fromEntries(variables), {
    CONTENT_TYPE: 'text/x',
    HTTP_ACCEPT: 'text/html, text/plain',
    HTTP_CONTENT_ENCODING: 'gzip',
    HTTP_UWSGI_FILE: '/tmp/evil.py',
    HTTP_X_FORWARDED_FOR: '10.0.0.1',
    HTTP_X_REAL_IP: '10.0.0.1',
  })
})

t.test('no field makes a key without HTTP_ but Content-Type', async t => {
  fc.assert(
    fc.property(latin1(0, 20), latin1(0, 20), (name, value) => {
      const all = new UwsgiVariables()
      all.addField(name, value)
      const keys = [...(read(all.toPacket())?.variables.keys() ?? [])]
      t.ok(keys.every(key => key === 'CONTENT_TYPE' || /^HTTP_[A-Z0-9_]+$/.test(key)))
    }),
  )
})

t.test('PATH_INFO is the bytes that the escapes stand for, decoded once', async t => {
  t.equal(pathBytes('/plain/path'), '/plain/path')
  t.equal(pathBytes('/a%2Fb%2fc/%25%32%35'), '/a/b/c/%25')
  t.equal(pathBytes('/gr%C3%BC%c3%9fe'), utf8Bytes('/grüße'))
  t.equal(pathBytes('/a+b'), '/a+b')
})
