import fc from 'fast-check'
import t from 'tap'
import type { Exchange } from '../lib/http/exchange.ts'
import { FieldList } from '../lib/http/field-list.ts'
import type { RequestHead } from '../lib/http/message.ts'
import { plainForm } from '../lib/http/path.ts'
import { LinkRewriting } from '../lib/proxy/link-rewriting.ts'
import { Mount } from '../lib/proxy/mount.ts'
import { RecordingExchange } from './support/recording-exchange.ts'

const shop = new Mount({ stripPrefix: '/shop', scriptName: '', rewriteAnswers: true }, 'auto')

function targetOf(mount: Mount, target: string): string {
  const [path = '', query] = target.split('?')
  return mount.targetOf({ target, path, query } as RequestHead)
}

/** What becomes of an app's fields on their way out of a site at `host`. */
function rewritten(stripPrefix: string, fields: FieldList, host: string): FieldList {
  const exchange = new RecordingExchange({ target: '/', host })
  const app = {
    handle: (inner: Exchange) => {
      inner.attach({ answerDrained: () => undefined, clientGone: () => undefined })
      inner.begin({ status: 200, reason: '', fields, length: 0 })
      inner.end()
    },
  }
  new LinkRewriting(stripPrefix, app).handle(exchange)
  return exchange.head?.fields ?? FieldList.of([])
}

t.test('the prefix is taken off, however it is spelled', async t => {
  const cases = [
    ['/shop/', '/'],
    ['/shop', '/'],
    ['/shop?a=/shop', '/?a=/shop'],
    ['/shop/a%2Fb/%E2%82%AC?x=%2F', '/a%2Fb/%E2%82%AC?x=%2F'],
    ['/%73hop/a', '/a'],
    ['/x/../shop/a?b', '/a?b'],
    ['/shop/../shop/a', '/a'],
    ['/shop//a/./b', '/a/b'],
    ['/%73hop/a%2fb%25', '/a%2fb%25'],
    ['/shop/%2e%2e/shop/secret', '/secret'],
  ] as const
  for (const [target, expected] of cases) t.equal(targetOf(shop, target), expected, target)
})

t.test('whatever is asked for, the app sees the rest of the path that the route was found by', async t => {
  const segment = fc.constantFrom(
    'shop',
    'a',
    '.',
    '..',
    '',
    '%2e%2e',
    '%2f',
    '%25',
    '%73hop',
    'é',
    '%C3%A9',
    'x%20y',
  )
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 6 }), segments => {
      const path = Buffer.from(`/${segments.join('/')}`).toString('latin1')
      const found = plainForm(path)
      if (!(found === '/shop' || found.startsWith('/shop/'))) return
      const seen = plainForm(targetOf(shop, path))
      t.equal(seen, found.slice('/shop'.length) || '/')
    }),
  )
})

t.test('where the app points is put below the prefix, once, and only on this site', async t => {
  const sent = (name: string, value: string) =>
    rewritten('/shop', FieldList.of([[name, value]]), 'example.test:8080').value(0)
  const cases = [
    ['Location', '/login/?next=/', '/shop/login/?next=/'],
    ['Location', '/shop/login/', '/shop/login/'],
    ['Location', '/shopping/', '/shop/shopping/'],
    ['Location', 'http://example.test:8080/login/', 'http://example.test:8080/shop/login/'],
    ['Location', 'https://EXAMPLE.test:8080', 'https://EXAMPLE.test:8080/shop/'],
    ['Location', 'https://example.test/login/', 'https://example.test/login/'],
    ['Location', '//cdn.example/x', '//cdn.example/x'],
    ['Location', 'next/', 'next/'],
    ['Set-Cookie', 'a=/b; Path=/; HttpOnly', 'a=/b; Path=/shop/; HttpOnly'],
    ['Set-Cookie', 'a=1; path=/x;Secure', 'a=1; path=/shop/x;Secure'],
    ['Set-Cookie', 'a=1; Path=/shop', 'a=1; Path=/shop'],
    ['Set-Cookie', 'a=1', 'a=1'],
    ['X-Path', '/', '/'],
  ] as const
  for (const [name, value, expected] of cases) t.equal(sent(name, value), expected, `${name}: ${value}`)
})

t.test('a prefix beyond ASCII is the one that is asked for in its escaped form', async t => {
  const caf = new Mount({ stripPrefix: '/café', scriptName: '', rewriteAnswers: true }, 'auto')
  t.equal(targetOf(caf, '/caf%C3%A9/a?b'), '/a?b')
  t.equal(targetOf(caf, '/c%61f%c3%a9/a'), '/a')
  t.equal(rewritten('/café', FieldList.of([['Location', '/a']]), 'a').value(0), '/caf%C3%A9/a')
})

t.test('what was dropped stays dropped', async t => {
  const fields = FieldList.of([
    ['Location', '/a'],
    ['X-Sendfile', '/etc/passwd'],
  ])
  fields.drop(1)
  t.equal(rewritten('/shop', fields, 'a').toText(), 'Location: /shop/a\r\n')
})

t.test('the app is told where it is; gunicorn by the field that it knows', async t => {
  const told = 'X-Forwarded-Prefix: /shop\r\nX-Script-Name: /shop\r\n'
  t.equal(shop.fieldsText, told)
  const gunicorn = new Mount({ stripPrefix: '', scriptName: '/shop', rewriteAnswers: false }, 'gunicorn')
  t.equal(gunicorn.fieldsText, `${told}SCRIPT_NAME: /shop\r\n`)
  t.equal(targetOf(gunicorn, '/shop/a'), '/shop/a', 'gunicorn takes it off itself')
})
