import fc from 'fast-check'
import t from 'tap'
import { plainForm } from '../lib/http/path.ts'
import { DISAGREED } from '../lib/http/path-readings.ts'
import { Router } from '../lib/route/router.ts'

const route = (target: string, path: string, ...hosts: readonly string[]) => ({ hosts, path, target })

t.test('the longest path wins, in whatever order the routes come', async t => {
  const routes = [route('all', '/'), route('static', '/static/'), route('admin', '/static/admin/')]
  for (const rules of [routes, [...routes].reverse()]) {
    const router = new Router(rules)
    t.equal(router.find('any.test', '/'), 'all')
    t.equal(router.find('any.test', '/static'), 'all')
    t.equal(router.find('any.test', '/static/a.css'), 'static')
    t.equal(router.find('any.test', '/static/admin/a.css'), 'admin')
  }
})

t.test('a path without a slash at its end matches whole segments only', async t => {
  const router = new Router([route('static', '/static')])
  t.equal(router.find('', '/static'), 'static')
  t.equal(router.find('', '/static/'), 'static')
  t.equal(router.find('', '/static/a'), 'static')
  t.equal(router.find('', '/staticx'), undefined)
  t.equal(router.find('', '/stati'), undefined)
  t.equal(router.find('', '/'), undefined)
})

t.test('the most specific host wins before the longest path', async t => {
  const router = new Router([
    route('any', '/very/long/path/'),
    route('wild', '/', '*.example.com'),
    route('deep', '/', '*.api.example.com'),
    route('exact', '/', 'www.example.com', 'example.com'),
  ])
  t.equal(router.find('www.example.com', '/very/long/path/x'), 'exact')
  t.equal(router.find('example.com', '/'), 'exact')
  t.equal(router.find('a.example.com', '/very/long/path/x'), 'wild')
  t.equal(router.find('a.b.example.com', '/'), 'wild', 'one or more labels')
  t.equal(router.find('v1.api.example.com', '/'), 'deep', 'the longest suffix')
  t.equal(router.find('other.test', '/very/long/path/x'), 'any')
  t.equal(router.find('other.test', '/'), undefined)
})

t.test('a wildcard needs a label before its dot', async t => {
  const router = new Router([route('wild', '/', '*.example.com')])
  t.equal(router.find('example.com', '/'), undefined)
  t.equal(router.find('notexample.com', '/'), undefined)
  t.equal(router.find('.example.com', '/'), undefined)
  t.equal(router.find('example.com.evil.test', '/'), undefined)
})

t.test('a host whose paths do not match falls back to less specific hosts', async t => {
  const router = new Router([
    route('exact', '/v1/', 'api.example.com'),
    route('wild', '/v2/', '*.example.com'),
    route('any', '/'),
  ])
  t.equal(router.find('api.example.com', '/v1/x'), 'exact')
  t.equal(router.find('api.example.com', '/v2/x'), 'wild')
  t.equal(router.find('api.example.com', '/'), 'any')
})

t.test('OPTIONS * goes where / goes', async t => {
  const router = new Router([route('app', '/'), route('static', '/static/')])
  t.equal(router.find('any.test', '*'), 'app')
})

t.test('a path that some server would read as one of another route finds none', async t => {
  const router = new Router([route('app', '/'), route('admin', '/admin/'), route('accents', '/é/')])
  const find = (path: string) => router.find('any.test', path)
  for (const path of [
    '//admin/',
    '/%61dmin/',
    '/x/../admin/',
    '/x/%2e%2e/admin/',
    '/./admin/',
    '/admin/..',
  ]) {
    t.equal(find(path), DISAGREED, path)
  }
  for (const path of ['/admin%2f', '/admin%5c', '/%2fadmin/', '/admin;a/', '/c%c3%a9/..//%C3%A9/'])
    t.equal(find(path), DISAGREED, path)
  for (const path of ['/admin/a%2fb', '/admin/./x', '/admin/x/../y', '/admin//x'])
    t.equal(find(path), 'admin', path)
  for (const path of ['/ADMIN/', '/admin', '/a//b', '/x/../y', '/a%2fb', '/caf%E9'])
    t.equal(find(path), 'app', path)
  t.equal(find('/%C3%A9/x'), 'accents')
  t.equal(find('/%c3%a9/%2e%2e'), DISAGREED)
})

t.test('where no reading finds a route there is none; where one does, they disagree', async t => {
  const router = new Router([route('open', '/open/')])
  t.equal(router.find('', '/x/../y'), undefined)
  for (const path of ['/open/../x', '/x/../open/y', '/open%2fx'])
    t.equal(router.find('', path), DISAGREED, path)
})

t.test('names that objects have are no hosts', async t => {
  const router = new Router([route('exact', '/', 'example.com')])
  for (const host of ['__proto__', 'constructor', 'toString', '']) t.equal(router.find(host, '/'), undefined)
})

t.test('finds what a plain reading of the rules finds', async () => {
  const path = fc
    .array(fc.constantFrom('/', '/a', '/a/', '/a/b', 'b'), { maxLength: 3 })
    .map(p => `/${p.join('')}`)
  const normal = path.map(plainForm)
  fc.assert(
    fc.property(fc.uniqueArray(normal, { maxLength: 8 }), normal, (paths, asked) => {
      const matching = paths.filter(
        path => asked === path || asked.startsWith(path.endsWith('/') ? path : `${path}/`),
      )
      const longest = matching.toSorted((a, b) => b.length - a.length)[0]
      return new Router(paths.map(path => route(path, path))).find('h', asked) === longest
    }),
  )
})
