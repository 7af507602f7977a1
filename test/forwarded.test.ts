import t from 'tap'
import { parseCidrs } from '../lib/http/cidr.ts'
import type { ClientFacts } from '../lib/http/exchange.ts'
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
  for (const bad of ['unknown', '_hidden', '1.2.3.4.5.6', "';--", '']) {
    const seen = origin('10.0.0.1', [['X-Forwarded-For', `203.0.113.9, ${bad}`]])
    t.equal(seen.clientIp, '10.0.0.1', bad)
  }
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

t.test('a peer on a unix socket has no address to tell', async t => {
  const text = originText(origin('', [], ''))
  t.equal(text, 'Forwarded: for=unknown;proto=http\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n')
})
