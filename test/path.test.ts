import fc from 'fast-check'
import t from 'tap'
import {
  configuredPath,
  decodeAll,
  decodePath,
  decodeUnavoidable,
  encodePath,
  encodePlain,
  plainForm,
} from '../lib/http/path.ts'

const CASES: readonly (readonly [path: string, expected: string, why: string])[] = [
  ['/', '/', 'the root'],
  ['/a/b.css', '/a/b.css', 'an ordinary path'],
  ['/%61bc', '/abc', 'an escaped letter is that letter'],
  ['/caf%C3%A9', '/caf\xc3\xa9', 'bytes'],
  ['/caf%E9', '/caf\xe9', 'bytes that are no UTF-8 (RFC 3986 2.1)'],
  ['//evil//x', '/evil/x', 'slashes merged'],
  ['/a/./b', '/a/b', 'a dot segment'],
  ['/a/../b', '/b', 'dot segments resolved'],
  ['/a/%2e%2e/b', '/b', 'and escaped ones'],
  ['/a//../b', '/b', 'behind merged slashes'],
  ['/../../b', '/b', 'never above the root'],
  ['/a/b/..', '/a/', 'a folder stays a folder'],
  ['/a/.', '/a/', 'a folder stays a folder'],
  ['/..', '/', 'nothing left'],
  ['/.well-known/x', '/.well-known/x', 'a name that starts with a dot is a name'],
  ['/...', '/...', 'three dots are a name'],
  ['/a%2fb', '/a%2fb', 'an escaped slash is no separator'],
  ['/a%5Cb', '/a%5Cb', 'nor a backslash'],
  ['/a%00b', '/a%00b', 'nor a NUL'],
  ['/a%252fb', '/a%252fb', 'decoded once only, and not mistaken for %2f'],
  ['/..%2fadmin', '/..%2fadmin', 'an escaped slash makes no dot segment'],
  ['/100%', '/100%', 'half an escape stands for itself'],
]

t.test('the plain form of a path', async t => {
  for (const [path, expected, why] of CASES) t.equal(plainForm(path), expected, `${path}: ${why}`)
})

t.test('the plain form has no empty and no dot segment, never leaves the root, and is its own', async () => {
  const part = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%00',
    '%25',
    '%252f',
    'a',
    '%61',
    '%c3',
  )
  const path = fc.array(part, { maxLength: 14 }).map(parts => `/${parts.join('')}`)
  fc.assert(
    fc.property(path, path => {
      const plain = plainForm(path)
      return plain.startsWith('/') && !/\/\/|\/\.{1,2}(\/|$)/.test(plain) && plainForm(plain) === plain
    }),
  )
})

t.test('a plain form may be sent, and then means the same', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), bytes => {
      const path = `/${[...bytes].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')}`
      const sent = encodePlain(plainForm(path))
      return /^[!-~]+$/.test(sent) && !/[?#\\]/.test(sent) && plainForm(sent) === plainForm(path)
    }),
  )
  t.equal(encodePlain(plainForm('/a%2f%3f/caf%E9//x')), '/a%2f%3F/caf%E9/x')
})

t.test(
  'a configured path is what a request for it spells, escapes that it cannot do without decoded',
  async t => {
    for (const [configured, requested] of [
      ['/é/', '/%C3%A9/'],
      ['/{id}/', '/%7Bid%7d/'],
      ['/a~b/', '/a~b/'],
    ] as const) {
      t.equal(configuredPath(configured), decodeUnavoidable(requested), configured)
    }
    t.equal(decodeUnavoidable('/%61%2f%40'), '/%61%2f%40', 'others stay')
  },
)

t.test('decoding takes every escape, once, and leaves what is none', async t => {
  t.equal(decodeAll('/%61%2F%252f%zz%4'), '/a/%2f%zz%4')
  t.equal(decodePath('/caf%E9'), undefined, 'a file name is UTF-8')
  t.equal(decodePath('/100%'), undefined)
})

t.test('encode and decode are opposites', async t => {
  const text = fc.string({ unit: 'binary' }).filter(text => text.isWellFormed())
  fc.assert(fc.property(text, text => decodePath(encodePath(text)) === text))
  t.equal(encodePath('/a?b#c d"é'), '/a%3Fb%23c%20d%22%C3%A9')
})
