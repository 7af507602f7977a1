import t from 'tap'
import type { EndpointConfig } from '../lib/config/model.ts'
import type { Exchange } from '../lib/http/exchange.ts'
import { FIELD } from '../lib/http/field-ids.ts'
import { FieldList } from '../lib/http/field-list.ts'
import { fieldNamed, withField } from '../lib/http/one-field.ts'
import { CanaryChoice } from '../lib/proxy/canary.ts'
import { Sticky } from '../lib/proxy/sticky.ts'
import { StickyClients } from '../lib/proxy/sticky-clients.ts'
import { seeded } from './contract/balancer.ts'
import { RecordingExchange } from './support/recording-exchange.ts'

const NAMES = ['10.1.2.3:8000', '10.1.2.4:8000', 'app:8000']
const CONFIG = { cookie: 'stay', secret: 'a secret of some length', maxAgeMs: undefined }
const NOTHING = FieldList.of([])

function sticky(changes: { secret?: string; upstream?: string; names?: string[]; maxAgeMs?: number } = {}) {
  const endpoints = (changes.names ?? NAMES).map(
    (name): EndpointConfig => ({
      name,
      address: { kind: 'tcp', host: name.replace(/:.*/, ''), port: 8000 },
      protocol: 'http1',
      weight: 1,
      backup: false,
    }),
  )
  const config = { ...CONFIG, secret: changes.secret ?? CONFIG.secret, maxAgeMs: changes.maxAgeMs }
  const upstream = { name: changes.upstream ?? 'app', endpoints }
  return new Sticky(() => upstream, config)
}

/** The value of the cookie that binds a client to this endpoint. */
function tokenOf(name: string, by = sticky()): string {
  const value = by.bind(NOTHING, name, 'http').first(FIELD['set-cookie']) ?? ''
  return /^stay=([^;]+)/.exec(value)?.[1] ?? ''
}

const withCookie = (value: string) => FieldList.of([['Cookie', `a=b; stay=${value}; c=d`]])

t.test('a cookie leads back to its endpoint, and to nothing that is not configured', async t => {
  for (const name of NAMES) t.equal(sticky().wanted(withCookie(tokenOf(name))), name)
  t.equal(new Set(NAMES.map(name => tokenOf(name))).size, NAMES.length)
  t.equal(sticky({ names: ['other:1'] }).wanted(withCookie(tokenOf('app:8000'))), undefined)
  t.equal(sticky().wanted(NOTHING), undefined)
  t.equal(sticky().wanted(withCookie('')), undefined)
})

t.test('processes that call an endpoint differently mean the same by a cookie', async t => {
  const address = { kind: 'unix', path: '/run/app.sock' } as const
  const called = (name: string) => {
    const endpoints: EndpointConfig[] = [{ name, address, protocol: 'http1', weight: 1, backup: false }]
    return new Sticky(() => ({ name: 'app', endpoints }), CONFIG)
  }
  t.equal(called('app/2').wanted(withCookie(tokenOf('app/1', called('app/1')))), 'app/2')
})

t.test('members that come and go are known from the next request on', async t => {
  const address = { kind: 'tcp', host: '10.0.0.1', port: 8000 } as const
  const member = (name: string, port: number): EndpointConfig => {
    return { name, address: { ...address, port }, protocol: 'http1', weight: 1, backup: false }
  }
  let endpoints = [member('a', 1)]
  const sticky = new Sticky(() => ({ name: 'app', endpoints }), CONFIG)
  const [first, none] = [tokenOf('a', sticky), tokenOf('b', sticky)]
  t.equal(sticky.wanted(withCookie(first)), 'a')
  t.equal(none, '')
  endpoints = [member('b', 2)]
  t.equal(sticky.wanted(withCookie(first)), undefined)
  t.equal(sticky.wanted(withCookie(tokenOf('b', sticky))), 'b')
})

t.test('nobody is bound to an address that took over the name of the one that answers', async t => {
  const member = (name: string, port: number): EndpointConfig => {
    const address = { kind: 'tcp', host: '10.0.0.1', port } as const
    return { name, address, protocol: 'http1', weight: 1, backup: false }
  }
  const cookieOf = (endpoint: string, after: readonly EndpointConfig[]) => {
    let endpoints: readonly EndpointConfig[] = [member('app/1', 1), member('app/2', 2)]
    const exchange = new RecordingExchange({ target: '/' })
    const inner = {
      handle(bound: Exchange) {
        bound.attach({ answerDrained: () => {}, clientGone: () => {} })
        bound.record.endpoint = endpoint
        endpoints = after
        bound.begin({ status: 200, reason: '', fields: NOTHING, length: 0 })
      },
    }
    new StickyClients(new Sticky(() => ({ name: 'app', endpoints }), CONFIG), inner).handle(exchange)
    return exchange.head?.fields.first(FIELD['set-cookie'])
  }
  t.equal(cookieOf('app/1', [member('app/1', 3), member('app/2', 2)]), undefined)
  t.match(cookieOf('app/2', [member('app/1', 3), member('app/2', 2)]), /^stay=/)
  t.match(cookieOf('app/3', [member('app/3', 3)]), /^stay=/, 'one that came while the request waited')
  t.match(cookieOf('app/1', [member('app/2', 2)]), /^stay=/, 'one that has left meanwhile')
})

t.test('neither name nor address stands in it, and nobody makes one up without the secret', async t => {
  for (const name of NAMES) {
    const token = tokenOf(name)
    t.match(token, /^[A-Za-z0-9_-]{22}$/)
    for (const reading of [token, Buffer.from(token, 'base64url').toString('latin1')])
      t.notMatch(reading, /10\.1|app|8000/)
    t.equal(sticky().wanted(withCookie(name)), undefined, 'a bare name is no cookie')
    t.equal(sticky({ secret: 'another secret, as long' }).wanted(withCookie(token)), undefined)
    t.equal(sticky({ upstream: 'other' }).wanted(withCookie(token)), undefined)
    const tampered = (token.startsWith('A') ? 'B' : 'A') + token.slice(1)
    t.equal(sticky().wanted(withCookie(tampered)), undefined)
  }
})

t.test('the cookie stays out of scripts, and out of plain http where https is spoken', async t => {
  const line = (scheme: 'http' | 'https', maxAgeMs?: number) =>
    sticky(maxAgeMs === undefined ? {} : { maxAgeMs })
      .bind(NOTHING, 'app:8000', scheme)
      .first(FIELD['set-cookie'])
  const token = tokenOf('app:8000')
  t.equal(line('http'), `stay=${token}; Path=/; HttpOnly; SameSite=Lax`)
  t.equal(line('https'), `stay=${token}; Path=/; HttpOnly; SameSite=Lax; Secure`)
  t.equal(line('http', 90_500), `stay=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=91`)
})

t.test('an answer for shared caches binds nobody', async t => {
  for (const [value, bound] of [
    ['public, max-age=60', false],
    ['max-age=60, PUBLIC', false],
    ['s-maxage=5', false],
    ['private, max-age=60', true],
    ['no-store', true],
  ] as const) {
    const fields = FieldList.of([['Cache-Control', value]])
    t.equal(sticky().bind(fields, 'app:8000', 'http').has(FIELD['set-cookie']), bound, value)
  }
})

t.test('a field that is added stands behind the others, whatever stands behind them in the text', async t => {
  const before = FieldList.of([
    ['A', '1'],
    ['Set-Cookie', 'x=y'],
  ])
  const read = new FieldList(`${before.text}\r\n`, before.marks)
  const after = withField(read, 'Set-Cookie', 'stay=z')
  t.equal(after.toText(), 'A: 1\r\nSet-Cookie: x=y\r\nSet-Cookie: stay=z\r\n')
  t.equal(after.indexOf(FIELD['set-cookie'], 2), 2)
  t.equal(read.count, 2, 'the list itself is as it was')
  t.equal(fieldNamed(after, 'set-cookie'), 'x=y')
})

function requestOf(clientIp: string, fields: [string, string][] = [], requestId = 'r') {
  const exchange = new RecordingExchange({ target: '/', fields })
  exchange.record.requestId = requestId
  return {
    request: exchange.request,
    record: exchange.record,
    origin: { ...exchange.origin, clientIp },
  }
}

const PLAIN = { header: undefined, cookie: undefined }
const random = seeded(4)
const byte = () => Math.floor(random() * 256)
const CLIENTS = Array.from({ length: 100_000 }, () => `${byte()}.${byte()}.${byte()}.${byte()}`)
const shareOf = (choice: CanaryChoice, clients = CLIENTS) =>
  clients.filter(ip => choice.takes(requestOf(ip))).length / clients.length

t.test('a canary gets its share of the clients, however small', async t => {
  for (const share of [0.0001, 0.05, 0.1234, 0.5]) {
    // Four standard deviations of as many draws.
    const most = 4 * Math.sqrt((share * (1 - share)) / CLIENTS.length)
    const got = shareOf(new CanaryChoice('route', { ...PLAIN, share }))
    t.ok(Math.abs(got - share) <= most, `${got} for ${share}`)
  }
  t.equal(shareOf(new CanaryChoice('route', { ...PLAIN, share: 0 })), 0)
  t.equal(shareOf(new CanaryChoice('route', { ...PLAIN, share: 1 })), 1)
  const inARow = Array.from({ length: 65_536 }, (_, n) => `10.0.${n >> 8}.${n & 255}`)
  const got = shareOf(new CanaryChoice('route', { ...PLAIN, share: 0.1 }), inARow)
  t.ok(Math.abs(got - 0.1) < 0.005, `${got} of one network`)
})

t.test('a client stays on its side; a larger share keeps those that were there', async t => {
  const few = new CanaryChoice('route', { ...PLAIN, share: 0.1 })
  const more = new CanaryChoice('route', { ...PLAIN, share: 0.2 })
  const taken = CLIENTS.slice(0, 5000).filter(ip => few.takes(requestOf(ip)))
  t.ok(taken.length > 300)
  t.ok(taken.every(ip => few.takes(requestOf(ip)) && more.takes(requestOf(ip))))
})

t.test('routes do not all try the same clients', async t => {
  const a = new CanaryChoice('a', { ...PLAIN, share: 0.1 })
  const b = new CanaryChoice('b', { ...PLAIN, share: 0.1 })
  const ofA = CLIENTS.slice(0, 50_000).filter(ip => a.takes(requestOf(ip)))
  const both = ofA.filter(ip => b.takes(requestOf(ip))).length / ofA.length
  t.ok(Math.abs(both - 0.1) < 0.02, `${both} of those of a`)
})

t.test('marked requests all go, whoever asks; a mark must be whole', async t => {
  const choice = new CanaryChoice('route', { share: 0, header: 'X-Try=new', cookie: 'try=a=b' })
  const takes = (name: string, value: string) => choice.takes(requestOf('10.0.0.1', [[name, value]]))
  t.ok(takes('x-try', 'new'))
  t.notOk(takes('X-Try', 'newer'))
  t.ok(takes('Cookie', 'z=1; try=a=b'))
  t.notOk(takes('Cookie', 'z=1; try=a'))
  t.notOk(choice.takes(requestOf('10.0.0.1')))
})

t.test('clients without an address are told apart by their requests', async t => {
  const choice = new CanaryChoice('route', { ...PLAIN, share: 0.5 })
  const taken = Array.from({ length: 1000 }, (_, n) => choice.takes(requestOf('', [], `id-${n}`))).filter(
    Boolean,
  )
  t.ok(taken.length > 400 && taken.length < 600, String(taken.length))
})
