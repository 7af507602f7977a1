import t from 'tap'
import { readRouteHost } from '../lib/config/route-section.ts'
import { hostAt } from '../lib/http/host.ts'

const hostnameOf = (text: string) => hostAt(text, 0, text.length)?.hostname

t.test('what may stand in Host, and what it routes by', async t => {
  const good: readonly (readonly [text: string, hostname: string])[] = [
    ['a', 'a'],
    ['example.com', 'example.com'],
    ['example.com:80', 'example.com'],
    ['example.com:1', 'example.com'],
    ['example.com:65535', 'example.com'],
    ['EXAMPLE.Com', 'example.com'],
    ['example.com.', 'example.com'],
    ['example.com.:8080', 'example.com'],
    ['localhost:8080', 'localhost'],
    ['polls_web_1:8000', 'polls_web_1'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['a-b.c', 'a-b.c'],
    ['1.example', '1.example'],
    ['3com.com', '3com.com'],
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1:8080', '127.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['[::1]', '[::1]'],
    ['[::1]:443', '[::1]'],
    ['[2001:DB8::A]', '[2001:db8::a]'],
    ['[2001:0DB8:0:0:0:0:0:000A]', '[2001:db8::a]'],
    ['[0:0::1]', '[::1]'],
    ['[::ffff:192.0.2.1]:80', '[::ffff:c000:201]'],
    ['[::ffff:c000:201]', '[::ffff:c000:201]'],
    [`${'a'.repeat(63)}.${'b'.repeat(63)}`, `${'a'.repeat(63)}.${'b'.repeat(63)}`],
  ]
  for (const [text, hostname] of good) {
    const host = hostAt(`x${text}y`, 1, text.length + 1)
    t.same({ ...host }, { text, hostname }, text)
  }
})

t.test('what may not stand in Host', async t => {
  const bad: readonly (readonly [promise: string, text: string])[] = [
    ['nothing', ''],
    ['only a port', ':80'],
    ['a colon without a port', 'a:'],
    ['port 0', 'a:0'],
    ['a port above 65535', 'a:65536'],
    ['a port of six digits', 'a:123456'],
    ['a port with a leading zero', 'a:080'],
    ['a port with a sign', 'a:+80'],
    ['a negative port', 'a:-80'],
    ['a port with an underscore', 'a:8_0'],
    ['a hexadecimal port', 'a:0x50'],
    ['a port that is a word', 'a:http'],
    ['two ports', 'a:80:80'],
    ['a space before the port', 'a: 80'],
    ['a space behind the port', 'a:80 '],
    ['a path', 'a/b'],
    ['a path behind the port', 'a:80/b'],
    ['a query', 'a?b'],
    ['a fragment', 'a#b'],
    ['a backslash', 'a\\b'],
    ['a user', 'user@a'],
    ['a user and a password', 'user:80@a'],
    ['an empty user', '@a'],
    ['a scheme', 'http://a'],
    ['a list of hosts', 'a,b'],
    ['a list of hosts with a space', 'a, b'],
    ['a semicolon', 'a;b'],
    ['percent-encoding', 'a%2eb'],
    ['a double quote', 'a"b'],
    ['a quote', "a'b"],
    ['angle brackets', '<a>'],
    ['braces', '{a}'],
    ['a wildcard', '*.a'],
    ['a dollar', '$a'],
    ['an exclamation mark', 'a!'],
    ['a plus', 'a+b'],
    ['an equals sign', 'a=b'],
    ['an ampersand', 'a&b'],
    ['a bar', 'a|b'],
    ['a caret', 'a^b'],
    ['a backtick', 'a`b'],
    ['parentheses', 'a(b)'],
    ['a tab', 'a\tb'],
    ['a NUL', 'a\0b'],
    ['a DEL', 'a\x7fb'],
    ['a byte above 127', 'b\xfccher.example'],
    ['a dot alone', '.'],
    ['two dots', '..'],
    ['a leading dot', '.a'],
    ['an empty label', 'a..b'],
    ['two final dots', 'a..'],
    ['a leading space', ' a'],
    ['a number above 255 in an address', '256.0.0.1'],
    ['an address of three numbers', '127.0.1'],
    ['an address of five numbers', '1.2.3.4.5'],
    ['an address that is one number', '2130706433'],
    ['an octal address', '0177.0.0.1'],
    ['a leading zero in an address', '127.0.0.01'],
    ['a name that ends in a number', 'a.1'],
    ['the same with a final dot', 'a.1.'],
    ['an open bracket', '[::1'],
    ['a closed bracket', '::1]'],
    ['an address of IPv6 without brackets', '::1'],
    ['empty brackets', '[]'],
    ['a name in brackets', '[a]'],
    ['IPv4 in brackets', '[127.0.0.1]'],
    ['a zone', '[fe80::1%eth0]'],
    ['an encoded zone', '[fe80::1%25eth0]'],
    ['a future address', '[v1.a]'],
    ['text behind the bracket', '[::1]a'],
    ['text before the bracket', 'a[::1]'],
    ['a bracketed address with an empty port', '[::1]:'],
    ['a group of five digits', '[12345::]'],
    ['two double colons', '[1::2::3]'],
    ['too many groups', '[1:2:3:4:5:6:7:8:9]'],
    ['more than a DNS name can be', `${'a.'.repeat(130)}com`],
  ]
  for (const [promise, text] of bad)
    t.equal(hostnameOf(text), undefined, `${promise}: ${JSON.stringify(text)}`)
})

t.test('a host that was asked for before is not taken for one that begins like it', async t => {
  t.equal(hostnameOf('example.com'), 'example.com')
  t.equal(hostnameOf('example.com.evil'), 'example.com.evil')
  t.equal(hostnameOf('example.com'), 'example.com')
  t.equal(hostnameOf('example.co'), 'example.co')
  t.equal(hostnameOf(''), undefined)
})

t.test('only the given range is looked at', async t => {
  t.equal(hostAt('a.b:0', 0, 3)?.hostname, 'a.b')
  t.equal(hostAt('a.b:80', 0, 5)?.text, 'a.b:8')
  t.equal(hostAt('x.1.b', 2, 5), hostAt('x.1.b', 2, 5))
  t.equal(hostAt('x.1.b', 2, 5)?.hostname, '1.b')
  t.equal(hostAt('9.a', 2, 3)?.hostname, 'a')
})

t.test('a host of a route is compared with a host of a request in one spelling', async t => {
  for (const [configured, asked] of [
    ['[2001:DB8:0::A]', '[2001:db8::a]:8443'],
    ['[::1]', '[0:0:0:0:0:0:0:1]'],
    ['[::ffff:192.0.2.1]', '[::FFFF:C000:0201]'],
    ['Example.COM.', 'example.com.:80'],
  ] as const) {
    t.same(readRouteHost(configured), { value: hostnameOf(asked) }, configured)
  }
  t.notOk('value' in readRouteHost('[192.0.2.1]'), 'brackets are for IPv6')
  t.notOk('value' in readRouteHost('[fe80::1%eth0]'))
})
