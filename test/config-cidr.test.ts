import fc from 'fast-check'
import t from 'tap'
import { isCidr, isLoopback, parseCidrs } from '../lib/http/cidr.ts'

t.test('an address is in a network when its first bits are the same', t => {
  const set = parseCidrs(['10.0.0.0/8', '192.168.1.7', '2001:db8::/32', '::1'])
  for (const ip of ['10.0.0.0', '10.255.255.255', '192.168.1.7', '2001:db8:ffff::1', '::1'])
    t.ok(set.has(ip), ip)
  for (const ip of ['11.0.0.0', '9.255.255.255', '192.168.1.8', '2001:db9::', '::2']) t.notOk(set.has(ip), ip)
  t.end()
})

t.test('an IPv4-mapped IPv6 address counts as IPv4, on both sides', t => {
  t.ok(parseCidrs(['10.0.0.0/8']).has('::ffff:10.1.2.3'))
  t.ok(parseCidrs(['10.0.0.0/8']).has('::ffff:a01:203'))
  t.ok(parseCidrs(['::ffff:10.0.0.0/104']).has('10.1.2.3'))
  t.notOk(parseCidrs(['10.0.0.0/8']).has('::ffff:11.1.2.3'))
  t.notOk(parseCidrs(['0.0.0.0/0']).has('::1'), 'every IPv4 address is not every address')
  t.notOk(parseCidrs(['::/0']).has('10.1.2.3'))
  t.end()
})

t.test('text that is no address is in no network, not even in all of them', t => {
  const everything = parseCidrs(['0.0.0.0/0', '::/0'])
  for (const text of [
    '',
    'unknown',
    '10.1.2.3:80',
    '[::1]',
    '10.1',
    '0x7f.0.0.1',
    '010.0.0.1',
    '1.2.3.4.5',
    ' 10.0.0.1',
  ]) {
    t.notOk(everything.has(text), JSON.stringify(text))
  }
  t.notOk(parseCidrs([]).has('10.0.0.1'), 'an empty set has nothing')
  t.end()
})

t.test('a network is refused unless it can only mean one thing', t => {
  for (const text of ['10.0.0.0/8', '10.0.0.5/8', '10.1.2.3', '::/0', 'fe80::1', '::ffff:10.0.0.0/104'])
    t.ok(isCidr(text), text)
  const bad = [
    '',
    '/',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10/8',
    '10.0.0.0/-1',
    '10.0.0.0/08x',
    'localhost',
    '10.0.0.0/255.0.0.0',
  ]
  for (const text of bad) t.notOk(isCidr(text), JSON.stringify(text))
  t.throws(() => parseCidrs(['10.0.0.0/33']), TypeError)
  t.end()
})

t.test('membership agrees with arithmetic for any IPv4 network', t => {
  const word = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  fc.assert(
    fc.property(word, word, fc.integer({ min: 0, max: 32 }), (network, ip, bits) => {
      const block = 2 ** (32 - bits)
      const inside = Math.floor(network / block) === Math.floor(ip / block)
      return parseCidrs([`${dotted(network)}/${bits}`]).has(dotted(ip)) === inside
    }),
  )
  t.end()
})

t.test('loopback is 127.0.0.0/8 and ::1, mapped or not', t => {
  for (const ip of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) t.ok(isLoopback(ip), ip)
  for (const ip of ['0.0.0.0', '::', '10.0.0.1', 'localhost', '']) t.notOk(isLoopback(ip), ip)
  t.end()
})

function dotted(word: number): string {
  return [24, 16, 8, 0].map(shift => (word >>> shift) & 255).join('.')
}
