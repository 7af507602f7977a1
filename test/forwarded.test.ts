import t from 'tap'
import { parseCidrs } from '../lib/http/cidr.ts'
import type { ClientFacts } from '../lib/http/client-facts.ts'
import { FieldList } from '../lib/http/field-list.ts'
import { originOf, originText } from '../lib/http/forwarded.ts'

const trusted = parseCidrs(['10.0.0.0/8', 'fd00::/8'])

function origin(
  peerAddress: string,
  pairs: readonly (readonly [string, string])[],
  host = 'example.com:1337',
) {
  const client: ClientFacts = {
    peerAddress,
    peerPort: 4711,
    trusted: trusted.has(peerAddress),
    listener: 'web',
    scheme: 'http',
    localAddress: '127.0.0.1',
    localPort: 8080,
    tls: undefined,
  }
  return originOf(client, FieldList.of(pairs), host, trusted)
}

t.test('nothing that an untrusted peer says of itself is believed', async t => {
  const seen = origin('192.0.2.7', [
    ['X-Forwarded-For', '1.1.1.1'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'evil.test'],
    ['X-Forwarded-Port', '443'],
    ['Forwarded', 'for=1.1.1.1;proto=https;host=evil.test'],
  ])
  t.match(seen, {
    clientIp: '192.0.2.7',
    chain: '192.0.2.7',
    scheme: 'http',
    host: 'example.com:1337',
    port: '1337',
  })
})

t.test('from a trusted peer the first untrusted address from the right is the client', async t => {
  const seen = origin('10.0.0.1', [
    ['X-Forwarded-For', '6.6.6.6, 203.0.113.9'],
    ['X-Forwarded-For', '10.2.2.2'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'shop.example'],
  ])
  t.equal(seen.clientIp, '203.0.113.9')
  t.equal(seen.chain, '203.0.113.9, 10.2.2.2, 10.0.0.1', 'what anybody could have written is gone')
  t.match(seen, { scheme: 'https', host: 'shop.example', port: '443' })
})

t.test('what is no address ends the walk', async t => {
  for (const bad of [
    ...[
      'unknown',
      '_hidden',
      '1.2.3.4.5.6',
      "';--",
      '',
      '999.999.999.999',
      '::::::::::',
      '010.0.0.1',
      '1.2.3',
    ],
    ...[
      'fe80::1%eth0',
      '[::1',
      '[::1]x',
      '[1.2.3.4]x',
      '1.2.3.4:80:90',
      '0x7f.0.0.1',
      '127.1',
      '::1::1',
      '1.2.3.4/8',
    ],
  ]) {
    const seen = origin('10.0.0.1', [['X-Forwarded-For', `203.0.113.9, ${bad}`]])
    t.equal(seen.clientIp, '10.0.0.1', bad)
    const standard = origin('10.0.0.1', [['Forwarded', `for=203.0.113.9, for="${bad}"`]])
    t.equal(standard.clientIp, '10.0.0.1', `Forwarded: ${bad}`)
  }
})

t.test('one address has one spelling, with or without its port', async t => {
  for (const [hop, address] of [
    ['203.0.113.9:4711', '203.0.113.9'],
    ['[2001:DB8:0:0::9]:4711', '2001:db8::9'],
    ['[2001:db8::9]', '2001:db8::9'],
    ['2001:0db8::0009', '2001:db8::9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['[::ffff:cb00:7109]:80', '203.0.113.9'],
  ] as const) {
    t.equal(origin('10.0.0.1', [['X-Forwarded-For', hop]]).clientIp, address, hop)
  }
})

t.test('two accounts of one request: what they say differently is not believed of either', async t => {
  const both = (custom: string, standard: string, ...more: (readonly [string, string])[]) =>
    origin('10.0.0.1', [['X-Forwarded-For', custom], ['Forwarded', standard], ...more])
  for (const [custom, standard] of [
    ['6.6.6.6', 'for=203.0.113.9'],
    ['203.0.113.9', 'for=6.6.6.6'],
    ['10.0.0.5', 'for=203.0.113.9'],
    ['unknown', 'for=203.0.113.9'],
    ['6.6.6.6, 203.0.113.9', 'for=203.0.113.9, for=6.6.6.6'],
  ] as const) {
    t.match(both(custom, standard), { clientIp: '', chain: '' }, `${custom} | ${standard}`)
    t.match(originText(both(custom, standard)), /^Forwarded: for=unknown;/)
  }
  for (const standard of [
    'for=203.0.113.9',
    'for="203.0.113.9:80"',
    'for=6.6.6.6, for=203.0.113.9, for=10.2.2.2',
    'proto=https',
    'for=unknown',
    'for=_hidden',
  ]) {
    t.equal(both('203.0.113.9', standard).clientIp, '203.0.113.9', standard)
  }
  const scheme = both('203.0.113.9', 'for=203.0.113.9;proto=http;host=b', ['X-Forwarded-Proto', 'https'])
  t.match(scheme, { clientIp: '203.0.113.9', scheme: 'http', host: 'example.com:1337' })
  const host = both('203.0.113.9', 'host=b', ['X-Forwarded-Host', 'a'], ['X-Forwarded-Port', '8443'])
  t.match(host, { host: 'example.com:1337', port: '1337' })
  const agreed = both(
    '203.0.113.9',
    'proto=https;host=a',
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'a'],
  )
  t.match(agreed, { clientIp: '203.0.113.9', scheme: 'https', host: 'a', port: '443' })
})

t.test('a scheme that X-Forwarded-Proto denies is not taken out of Forwarded', async t => {
  const seen = origin('10.0.0.1', [
    ['Forwarded', 'for=203.0.113.9;proto=https'],
    ['X-Forwarded-Proto', 'http'],
  ])
  t.match(seen, { clientIp: '203.0.113.9', scheme: 'http' })
})

t.test('a port goes with the host that is believed', async t => {
  const port = (...pairs: (readonly [string, string])[]) => origin('10.0.0.1', pairs).port
  t.equal(port(['X-Forwarded-Port', '8443']), '8443', 'balancers name it without a host')
  t.equal(port(['X-Forwarded-Port', '65536']), '1337')
  t.equal(port(['X-Forwarded-Host', 'a:81']), '81')
})

t.test('Forwarded is read where there is no X-Forwarded-For (RFC 7239)', async t => {
  const seen = origin('fd00::1', [
    ['Forwarded', 'for=6.6.6.6;proto=http, for="[2001:db8::9]:4711";proto=https;host="shop.example:8443"'],
  ])
  t.match(seen, { clientIp: '2001:db8::9', scheme: 'https', host: 'shop.example:8443', port: '8443' })
})

t.test('a scheme, host or port that is none is not taken over', async t => {
  const seen = origin('10.0.0.1', [
    ['X-Forwarded-For', '203.0.113.9'],
    ['X-Forwarded-Proto', 'javascript'],
    ['X-Forwarded-Host', 'a b'],
    ['X-Forwarded-Port', '99999999'],
  ])
  t.match(seen, { scheme: 'http', host: 'example.com:1337', port: '1337' })
})

t.test('the app is told one value of each, and an IPv6 client is quoted in Forwarded', async t => {
  t.equal(
    originText(origin('2001:db8::5', [])),
    'X-Forwarded-For: 2001:db8::5\r\nX-Real-IP: 2001:db8::5\r\n' +
      'Forwarded: for="[2001:db8::5]";host="example.com:1337";proto=http\r\n' +
      'X-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com:1337\r\nX-Forwarded-Port: 1337\r\n',
  )
})

t.test('a trusted peer on a unix socket names its client, and is none of the hops itself', async t => {
  const client = {
    ...{ peerAddress: '', peerPort: 0, trusted: true, listener: 'web', scheme: 'http' as const },
    ...{ localAddress: '', localPort: 0, tls: undefined },
  }
  const fields = FieldList.of([['X-Forwarded-For', '203.0.113.9, 10.0.0.2']])
  t.match(originOf(client, fields, 'a', trusted), { clientIp: '203.0.113.9', chain: '203.0.113.9, 10.0.0.2' })
})

t.test('a peer on a unix socket has no address to tell', async t => {
  const text = originText(origin('', [], ''))
  t.equal(text, 'Forwarded: for=unknown;proto=http\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n')
})
