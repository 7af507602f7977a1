import t from 'tap'
import { TunnelTable } from '../lib/route/tunnel-table.ts'

const rule = (target: string, hosts: readonly string[], listeners: readonly string[] = []) => ({
  hosts,
  listeners,
  target,
})

t.test('the most specific host wins, whatever the order: exact name, longest wildcard, any', async t => {
  const rules = [
    rule('any', []),
    rule('wide', ['*.example.com']),
    rule('deep', ['*.db.example.com']),
    rule('exact', ['a.db.example.com', 'example.com']),
  ]
  for (const order of [rules, rules.toReversed()]) {
    const table = new TunnelTable(order)
    for (const [name, target] of [
      ['a.db.example.com', 'exact'],
      ['example.com', 'exact'],
      ['b.db.example.com', 'deep'],
      ['x.b.db.example.com', 'deep'],
      ['db.example.com', 'wide'],
      ['web.example.com', 'wide'],
      ['example.org', 'any'],
      ['notexample.com', 'any'],
    ] as const) {
      t.equal(table.find('edge', name), target, name)
    }
    t.equal(table.find('edge', undefined), 'any', 'a client that names nobody')
  }
})

t.test('without a tunnel for any host, what no tunnel names is taken by none', async t => {
  const table = new TunnelTable([rule('db', ['db.example.com', '*.db.example.com'])])
  t.equal(table.find('edge', 'example.com'), undefined)
  t.equal(table.find('edge', 'adb.example.com'), undefined)
  t.equal(table.find('edge', undefined), undefined)
  t.equal(new TunnelTable([]).find('edge', 'db.example.com'), undefined)
})

t.test('a listener has the tunnels that name it and those that name none', async t => {
  const table = new TunnelTable([
    rule('inner', ['db.example.com'], ['inside']),
    rule('both', ['mail.example.com'], ['inside', 'outside']),
    rule('everywhere', ['*.example.com']),
  ])
  t.equal(table.find('inside', 'db.example.com'), 'inner')
  t.equal(table.find('outside', 'db.example.com'), 'everywhere', 'the more specific one is not its own')
  t.equal(table.find('other', 'db.example.com'), 'everywhere')
  t.equal(table.find('inside', 'mail.example.com'), 'both')
  t.equal(table.find('outside', 'mail.example.com'), 'both')
  t.equal(table.find('other', 'mail.example.com'), 'everywhere')
})
