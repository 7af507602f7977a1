import fc from 'fast-check'
import t from 'tap'
import { agreedBy, DISAGREED, isPlain } from '../lib/http/path-readings.ts'

/** What becomes of a path that an app gets as it came. */
function readingsOf(path: string): Set<string> {
  const readings = new Set<string>()
  agreedBy(path, reading => {
    readings.add(reading)
    return true
  })
  return readings
}

const reads = (path: string, as: string) => readingsOf(path).has(as)

/** True for what has too many readings: it is 400 even where all of them find the same. */
const isRefused = (path: string) => agreedBy(path, () => true) === DISAGREED

t.test('every known reader of a path is among its readings', async t => {
  for (const [path, as, who] of [
    ['/api/../x', '/api/../x', 'gunicorn, uWSGI, uvicorn, hypercorn, daphne: as it comes'],
    ['/api/../x', '/x', 'RFC 3986 5.2.4'],
    ['/api/%2e%2e/x', '/api/../x', 'the same servers, decoded'],
    ['/x/%2e%2e/api/y', '/api/y', 'WHATWG URL'],
    ['/api//../x', '/api/x', 'RFC 3986 counts the empty segment'],
    ['/api//../x', '/x', 'nginx has merged it before'],
    ['/api%2f..%2fx', '/api/../x', 'decoded'],
    ['/x%2f..%2fapi/y', '/api/y', 'decoded, then resolved: nginx, Go'],
    ['/a/../api/%2e%2e/x', '/api/../x', "resolved, then decoded: uWSGI's own HTTP"],
    ['/a%2fb/../x', '/x', 'resolved before decoding'],
    ['/a%2fb/../x', '/a/x', 'and after'],
    ['//host/api/x', '/api/x', '`new URL(request.url, base)`'],
    ['///host/api/x', '/api/x', 'the same'],
    ['//host', '/', 'the same'],
    ['/open/..;v=1/api/x', '/api/x', 'Tomcat and its like'],
    ['/api;v=1/x', '/api/x', 'Spring'],
    ['/x%5c..%5capi%5cy', '/api/y', 'IIS'],
    ['/x%c0%af..%c0%afapi/y', '/api/y', 'overlong UTF-8'],
    ['/x%c0%af%e0%80%ae%f0%80%80%ae/api/y', '/api/y', 'in any length'],
    ['/%09/host/api/y', '/api/y', 'urlsplit leaves tabs out, and then sees a host'],
    ['/api%3f/../../x', '/api', 'a decoded path that is taken for a URL'],
    ['/api/..%20', '/', '`new URL` leaves blanks at the end out'],
    ['/api/%0ax', '/', "a pattern of Django that fails: the next one's"],
    ['/api/%E2%80%A8x', '/', 'and one of Express'],
    ['/x/%252e%252e/api/y', '/api/y', 'two proxies that decode'],
    ['/%61pi/x', '/api/x', 'decoded'],
    ['/%61pi/x', '/%61pi/x', 'Express, which does not'],
    ['/caf%C3%A9/%61', '/caf\xc3\xa9/%61', 'a route beyond ASCII has no other spelling'],
  ] as const) {
    t.ok(reads(path, as), `${path} as ${as}: ${who}`)
  }
})

t.test('an ordinary path has one reading, whatever is escaped of necessity', async t => {
  for (const path of ['/', '/a/b.css', '/.well-known/x', '/...', '/a./b..', '/a:b@c,d=e', '/wiki/A_(b)']) {
    t.ok(isPlain(path), path)
    t.same([...readingsOf(path)], [path])
  }
  for (const [path, reading] of [
    ['/a%20b', '/a b'],
    ['/caf%C3%A9', '/caf\xc3\xa9'],
    ['/caf%E9', '/caf\xe9'],
    ['/a%22%7Bb', '/a"{b'],
    ['/%E2%82%AC/%F0%9F%98%80', '/\xe2\x82\xac/\xf0\x9f\x98\x80'],
  ] as const) {
    t.notOk(isPlain(path), path)
    t.same([...readingsOf(path)], [reading])
  }
})

t.test('readings disagree as soon as one of them finds something else', async t => {
  const isBelow = (prefix: string) => (reading: string) => reading.startsWith(prefix)
  t.equal(agreedBy('/api/../x', isBelow('/api/')), DISAGREED)
  t.equal(agreedBy('/api/../x', isBelow('/')), true)
  t.equal(agreedBy('/api/a/../x', isBelow('/api/')), true)
  t.equal(agreedBy('/b/../x', isBelow('/api/')), false)
})

t.test('a path that is made to have many readings costs a bounded number, and is refused', async t => {
  const odd = ';b/../%2e%2e//%2f%5c%c0%af%252e%252f/x'
  for (const path of [`/a${odd.repeat(3)}`, `/a${odd.repeat(200)}`]) {
    let characters = 0
    let readings = 0
    const found = agreedBy(path, reading => {
      readings += 1
      characters += reading.length
      return true
    })
    t.equal(found, DISAGREED)
    t.ok(readings <= 32 && characters < 80_000, `${readings} readings, ${characters} characters`)
  }
})

t.test('the longest honest paths are taken', async t => {
  for (const part of [
    '/a%2fb',
    '/a%20b',
    '/a%3Fb',
    '/a%20',
    '/%E0%A4%95',
    '/a%252fb',
    '/a//b',
    '/a;v=1',
    '/a%2fb//c;v=1',
  ]) {
    const path = part.repeat(Math.floor(8000 / part.length))
    t.equal(
      agreedBy(path, () => true),
      true,
      part,
    )
  }
})

// Whatever order a reader takes its steps in: an independent, naive search through all of them.
t.test('no order of decoding, merging and resolving escapes the readings', async () => {
  const resolve = (path: string) => new URL(path.replace(/%/g, '%25'), 'x://h/').pathname.replace(/%25/g, '%')
  const steps = [
    (path: string) => path.replace(/\/+/g, '/'),
    (path: string) => (path.startsWith('//') ? path : resolve(path)),
    (path: string) => path.replace(/;[^/]*/g, ''),
  ]
  const part = fc.constantFrom('/', '..', '.', '%2e', '%2f', 'api', 'x', ';v')
  const paths = fc.array(part, { minLength: 2, maxLength: 8 }).map(parts => `/${parts.join('')}`)
  const orders = fc.array(fc.nat(steps.length), { maxLength: 5 })
  fc.assert(
    fc.property(paths, orders, (path, order) => {
      let seen = path
      let decoded = false
      for (const at of order) {
        if (at < steps.length) seen = (steps[at] as (path: string) => string)(seen)
        else if (!decoded) {
          seen = decodeURIComponent(seen)
          decoded = true
        }
      }
      return isRefused(path) || reads(path, seen)
    }),
    // The example is refused for its readings, of which fewer differ than there are.
    { numRuns: 3000, examples: [['//%2e;v%2f/%2e', [0, 3, 1]]] },
  )
})
