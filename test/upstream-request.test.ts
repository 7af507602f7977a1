import t from 'tap'
import { refuseAdmin } from '../lib/server/admin/admin-guard.ts'
import { readUpstreamRequest } from '../lib/server/admin/upstream-request.ts'

t.test('what an operator may ask of the upstreams', async t => {
  const cases: [string, string, object][] = [
    ['GET', '/upstreams', { kind: 'list' }],
    ['HEAD', '/upstreams', { kind: 'list' }],
    ['POST', '/upstreams/app/drain', { kind: 'drain', upstream: 'app', endpoint: undefined }],
    [
      'POST',
      '/upstreams/a%20b/ready?endpoint=app%3A8000',
      { kind: 'ready', upstream: 'a b', endpoint: 'app:8000' },
    ],
    [
      'POST',
      '/upstreams/app/drain?endpoint=uwsgi+unix:/run/a%2Fb.sock',
      { kind: 'drain', upstream: 'app', endpoint: 'uwsgi+unix:/run/a/b.sock' },
    ],
    [
      'POST',
      '/upstreams/app/deploy?endpoint=a:1&timeout=5s&endpoint=b:1',
      { kind: 'deploy', upstream: 'app', endpoints: ['a:1', 'b:1'], timeoutMs: 5000 },
    ],
    [
      'POST',
      '/upstreams/app/deploy?configured=true',
      { kind: 'deploy', upstream: 'app', endpoints: undefined, timeoutMs: 30_000 },
    ],
  ]
  for (const [method, target, asked] of cases) t.same(readUpstreamRequest(method, target), asked, target)
})

t.test('what is not understood is refused, and never half done', async t => {
  const cases: [string, string, number][] = [
    ['POST', '/upstreams', 405],
    ['GET', '/upstreams?x=1', 400],
    ['GET', '/upstreams/app/drain', 405],
    ['HEAD', '/upstreams/app/deploy?endpoint=a:1', 405],
    ['POST', '/upstreams/', 404],
    ['POST', '/upstreams/app', 404],
    ['POST', '/upstreams/app/stop', 404],
    ['POST', '/upstreams/app/drain/', 404],
    ['POST', '/upstreams//drain', 404],
    ['POST', '/upstreams/%zz/drain', 404],
    ['POST', '/upstreams/app/drain?', 400],
    ['POST', '/upstreams/app/drain?endpoint', 400],
    ['POST', '/upstreams/app/drain?endpoint=', 400],
    ['POST', '/upstreams/app/drain?=a', 400],
    ['POST', '/upstreams/app/drain?endpoint=%zz', 400],
    ['POST', '/upstreams/app/drain?endpoint=a&endpoint=b', 400],
    ['POST', '/upstreams/app/drain?Endpoint=a', 400],
    ['POST', '/upstreams/app/drain?endpoint=a?b', 400],
    ['POST', '/upstreams/app/ready?timeout=1s', 400],
    ['POST', '/upstreams/app/deploy', 400],
    ['POST', '/upstreams/app/deploy?timeout=1s', 400],
    ['POST', '/upstreams/app/deploy?endpoint=a:1&configured=true', 400],
    ['POST', '/upstreams/app/deploy?configured=yes', 400],
    ['POST', '/upstreams/app/deploy?endpoint=a:1&force=1', 400],
    ['POST', '/upstreams/app/deploy?endpoint=a:1&timeout=1', 400],
    ['POST', '/upstreams/app/deploy?endpoint=a:1&timeout=0s', 400],
    ['POST', '/upstreams/app/deploy?endpoint=a:1&timeout=2h', 400],
    ['POST', '/upstreams/app/deploy?endpoint=a:1&timeout=1s&timeout=2s', 400],
    ['POST', `/upstreams/app/drain?endpoint=${'a'.repeat(9000)}`, 400],
    [
      'POST',
      `/upstreams/app/deploy?${Array.from({ length: 300 }, (_, i) => `endpoint=a:${i}`).join('&')}`,
      400,
    ],
  ]
  for (const [method, target, status] of cases)
    t.match(
      readUpstreamRequest(method, target),
      { status, error: String },
      `${method} ${target.slice(0, 80)}`,
    )
})

t.test('a page of another site may not have a browser change anything here', async t => {
  const bound = { kind: 'tcp', host: '127.0.0.1', port: 9180 } as const
  const ask = (method: string, origin?: string, fetchSite?: string) => {
    const request = {
      method,
      host: '127.0.0.1:9180',
      authorization: undefined,
      origin,
      fetchSite,
      open: false,
    }
    return refuseAdmin(request, bound, undefined)?.status
  }
  t.equal(ask('POST'), undefined, 'no browser')
  t.equal(ask('POST', 'http://127.0.0.1:9180'), undefined)
  t.equal(ask('POST', undefined, 'none'), undefined)
  t.equal(ask('POST', 'http://127.0.0.1:9180', 'same-origin'), undefined)
  for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:8000', 'http://127.0.0.1', '']) {
    t.equal(ask('POST', origin), 403, origin)
  }
  t.equal(ask('POST', undefined, 'cross-site'), 403)
  t.equal(ask('POST', 'http://127.0.0.1:9180', 'same-site'), 403)
  t.equal(ask('GET', 'http://evil.example', 'cross-site'), undefined, 'a link to a page')
})
