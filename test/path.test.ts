import fc from 'fast-check'
import t from 'tap'
import { decodePath, encodePath, matchConfiguredPath, matchPath } from '../lib/http/path.ts'

const CASES: readonly (readonly [path: string, expected: string | undefined, why: string])[] = [
  ['/', '/', 'the root'],
  ['/a/b.css', '/a/b.css', 'an ordinary path'],
  ['*', '/', 'OPTIONS *'],
  ['/%61bc', '/abc', 'an escaped letter is that letter'],
  ['/caf%C3%A9', '/café', 'UTF-8'],
  ['/caf\xc3\xa9', '/café', 'UTF-8 that nobody escaped'],
  ['/caf%E9', undefined, 'latin1 is no UTF-8'],
  ['/%C0%AF', undefined, 'an overlong slash'],
  ['/%ED%A0%80', undefined, 'a lone surrogate'],
  ['/100%', undefined, 'half an escape'],
  ['/%4', undefined, 'half an escape'],
  ['/%zz', undefined, 'no hex'],
  ['/%u002f', undefined, 'the old escape of IIS'],
  ['//evil//x', '/evil/x', 'slashes merged'],
  ['/a/./b', '/a/b', 'a dot segment'],
  ['/a/../b', '/b', 'dot segments resolved'],
  ['/a/%2e%2e/b', '/b', 'and escaped ones'],
  ['/../../b', '/b', 'never above the root'],
  ['/a/b/..', '/a/', 'a folder stays a folder'],
  ['/a/.', '/a/', 'a folder stays a folder'],
  ['/..', '/', 'nothing left'],
  ['/.well-known/x', '/.well-known/x', 'a name that starts with a dot is a name'],
  ['/...', '/...', 'three dots are a name'],
  ['/a%2fb', '/a%2fb', 'an escaped slash is no separator'],
  ['/a%2Fb', '/a%2fb', 'in one spelling'],
  ['/a%5Cb', '/a%5cb', 'nor a backslash'],
  ['/a%00b', '/a%00b', 'nor a NUL'],
  ['/a%252fb', '/a%252fb', 'decoded once only, and not mistaken for %2f'],
  ['/..%2fadmin', '/..%2fadmin', 'an escaped slash makes no dot segment'],
  ['/a\\b', '/a\\b', 'a plain backslash is no slash'],
]

t.test('a path is matched in one normal form', async t => {
  for (const [path, expected, why] of CASES) t.equal(matchPath(path), expected, `${path}: ${why}`)
})

t.test('an ordinary path comes back as the same string', async () => {
  const safe = fc.stringMatching(/^(\/[a-z0-9_~-]{1,8}){1,5}\/?$/)
  fc.assert(fc.property(safe, path => matchPath(path) === path))
})

t.test('what comes out has no empty and no dot segment, and never leaves the root', async () => {
  const part = fc.constantFrom('/', '.', '..', '%2e', '%2E', '%2f', '%5c', '%25', 'a', '%61', '%c3%a9')
  const path = fc.array(part, { maxLength: 14 }).map(parts => `/${parts.join('')}`)
  fc.assert(
    fc.property(path, path => {
      const matched = matchPath(path) as string
      return matched.startsWith('/') && !/\/\/|\/\.{1,2}(\/|$)/.test(matched)
    }),
  )
})

t.test('normalising twice changes no more than once, escapes that mean themselves apart', async () => {
  const part = fc.constantFrom('/', '.', '..', '%2e', '%2f', '%5c', '%00', '%25', '%252f', 'a')
  const path = fc.array(part, { maxLength: 14 }).map(parts => `/${parts.join('')}`)
  fc.assert(fc.property(path, path => matchPath(matchPath(path) as string) === matchPath(path)))
})

t.test('a configured path means what a request for it means', async t => {
  for (const [configured, requested] of [
    ['/é/', '/%C3%A9/'],
    ['/%C3%A9/', '/%c3%a9/'],
    ['/100%/', '/100%25/'],
    ['/a b/', '/a%20b/'],
  ] as const) {
    t.equal(matchConfiguredPath(configured), matchPath(requested), configured)
  }
})

t.test('encode and decode are opposites', async t => {
  const text = fc.string({ unit: 'binary' }).filter(text => text.isWellFormed())
  fc.assert(fc.property(text, text => decodePath(encodePath(text)) === text))
  t.equal(encodePath('/a?b#c d"é'), '/a%3Fb%23c%20d%22%C3%A9')
})
