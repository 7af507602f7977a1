import { X509Certificate } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Caller } from '../../lib/acme/caller.ts'
import { Client } from '../../lib/acme/client.ts'
import { STAND_IN_NAME } from '../../lib/acme/stand-in.ts'
import { systemClock } from '../../lib/base/clock.ts'
import type { KeyPair } from '../../lib/base/key-pair.ts'
import { AcmeWorld, type KeeperUnderTest } from '../support/acme-world.ts'
import { missingPebble } from '../support/pebble.ts'
import { until } from '../support/until.ts'

// Against Pebble, the ACME server that Let's Encrypt tests clients with; it refuses one nonce in twenty on
// purpose.

const NAME = 'www.site.test'
const HOUR_MS = 3_600_000
const skip = missingPebble()

const serial = (pair: KeyPair | undefined) =>
  pair === undefined ? undefined : new X509Certificate(pair.certificate).serialNumber
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

/** The certificate that serves comes from Pebble and is for the name. */
async function trusted(t: Test, world: AcmeWorld, under: KeeperUnderTest, name = NAME): Promise<void> {
  const pair = under.keeper.pairs.find(({ names }) => names.includes(name))
  t.same(pair?.names, [name])
  const [leaf = '', issuer = ''] =
    pair?.certificate.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g) ?? []
  const [own, above] = [new X509Certificate(leaf), new X509Certificate(issuer)]
  t.ok(own.verify(above.publicKey) && own.checkHost(name) === name, 'the chain is whole')
  t.ok(above.verify(new X509Certificate(await world.pebble.root()).publicKey), 'and leads to the root')
}

t.test('a certificate by TLS-ALPN-01, and by HTTP-01 where only that is wanted', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const under = world.start([NAME])
  t.same(
    under.keeper.pairs.map(({ names }) => names),
    [[STAND_IN_NAME]],
    'handshakes complete meanwhile',
  )
  await under.untilState(NAME, 'valid')
  await trusted(t, world, under)
  t.match(world.asked, { http: 0, alpn: /[1-9]/ })
  t.same(under.keeper.challenges, { http: [], alpn: [] }, 'challenges are gone afterwards')
  const plain = world.start(['plain.site.test'], { challenges: ['http-01'], keyType: 'rsa' })
  await plain.untilState('plain.site.test', 'valid')
  t.match(world.asked, { http: /[1-9]/ })
  await trusted(t, world, plain, 'plain.site.test')
  t.equal(new X509Certificate(plain.keeper.pairs[0]?.certificate ?? '').publicKey.asymmetricKeyType, 'rsa')
})

t.test(
  'where one challenge does not go through the other is tried, and is the first next time',
  { skip },
  async t => {
    const world = await AcmeWorld.start(t)
    world.answersAlpn = false
    const under = world.start([NAME])
    await under.untilState(NAME, 'valid')
    t.equal(under.said('certificate obtained')[0]?.['challenge'], 'http-01')
    t.equal(under.said('certificate not obtained').length, 0)
    t.match(readFileSync(world.path(NAME, 'state.json'), 'utf8'), /"challenge": "http-01"/)
  },
)

t.test(
  'three of four nonces refused: every order ends well all the same (RFC 8555 6.5)',
  { skip },
  async t => {
    const world = await AcmeWorld.start(t, { refusedNonces: 75 })
    const names = ['a.site.test', 'b.site.test']
    t.match(world.pebble.output, /Configured to reject 75% of good nonces/)
    const under = world.start(names)
    for (const name of names) await under.untilState(name, 'valid')
    t.equal(under.said('certificate not obtained').length, 0)
  },
)

t.test('a restart takes what the folder has and orders nothing', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const before = world.start([NAME])
  await before.untilState(NAME, 'valid')
  await world.end(before)
  const after = world.start([NAME])
  t.equal(serial(after.keeper.pairs[0]), serial(before.keeper.pairs[0]), 'there before anything was asked')
  await until('the next look', () => readFileSync(world.path(NAME, 'state.json'), 'utf8').includes('ask_at'))
  t.equal(after.facts(NAME).renewAtMs, before.facts(NAME).renewAtMs, 'renewed when it was to be')
  t.equal(world.orders, 1)
  t.equal(world.accounts, 1)
})

t.test('renewed in time; the old certificate serves until the new one is in', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const under = world.start([NAME])
  const { renewAtMs = 0 } = await under.untilState(NAME, 'valid')
  const old = serial(under.keeper.pairs[0])
  const publishedBefore = under.published.length
  under.clock.aheadMs = renewAtMs - Date.now() - HOUR_MS
  under.keeper.expired()
  t.equal(world.orders, 1, 'not an hour too early')
  under.clock.aheadMs += 2 * HOUR_MS
  await until('another certificate', () => serial(under.keeper.pairs[0]) !== old, 30_000)
  const served = under.published.slice(publishedBefore).map(([pair]) => serial(pair))
  t.same(served, [old, old, serial(under.keeper.pairs[0])], 'while the challenge was there, and then')
  t.equal(world.orders, 2)
  t.equal(world.accounts, 1, 'the account is the same')
})

t.test('an account that was closed, or that the server does not know, is made anew', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const first = world.start([NAME])
  await first.untilState(NAME, 'valid')
  await closeAccount(world)
  const second = world.start([NAME, 'two.site.test'])
  await second.untilState('two.site.test', 'valid')
  t.equal(world.accounts, 2)
  await world.end(second)
  const account = JSON.parse(readFileSync(world.path('account.json'), 'utf8')) as { url: string }
  const url = account.url.replace(/[^/]+$/, '0')
  writeFileSync(world.path('account.json'), JSON.stringify({ ...account, url }))
  const third = world.start([NAME, 'two.site.test', 'three.site.test'])
  await third.untilState('three.site.test', 'valid')
  t.equal(third.said('certificate not obtained').length, 0)
  t.equal(world.accounts, 3)
})

t.test(
  'a name that cannot be proved is tried less and less often, and holds up no other',
  { skip },
  async t => {
    const world = await AcmeWorld.start(t)
    world.pebble.names.set('lost.site.test', '127.0.0.2')
    world.pebble.names.set(NAME, '127.0.0.1')
    const under = world.startUnnamed(['lost.site.test', NAME])
    await under.untilState(NAME, 'valid')
    const { nextTryMs = 0, lastError, failures } = await under.untilState('lost.site.test', 'failed')
    t.match(lastError, /tls-alpn-01: .*127\.0\.0\.2.*; http-01: .*127\.0\.0\.2/, 'both were tried, in words')
    t.equal(failures, 1)
    t.ok(nextTryMs - Date.now() > 45_000, 'not at once')
    await world.end(under)
    const orders = world.orders
    const again = world.startUnnamed(['lost.site.test', NAME])
    t.match(again.facts('lost.site.test'), { failures: 1, nextTryMs }, 'a restart does not make it hurry')
    world.pebble.names.set('lost.site.test', '127.0.0.1')
    again.clock.aheadMs = nextTryMs - Date.now() + 1
    await again.untilState('lost.site.test', 'valid')
    t.equal(world.orders, orders + 1)
    t.equal(again.facts('lost.site.test').failures, 0)
  },
)

t.test('who comes second to a shared folder takes what the first has had', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const first = world.start([NAME], { folder: world.path('first') })
  await first.untilState(NAME, 'valid')
  const shared = world.path('shared')
  mkdirSync(shared, { recursive: true })
  // Another process that runs: it is at it.
  const lock = { id: 'another', pid: process.ppid, host: hostname(), at: new Date().toISOString() }
  writeFileSync(join(shared, 'lock'), JSON.stringify(lock))
  const second = world.start([NAME], { folder: shared })
  await until('it to wait', () => Number.isFinite(second.keeper.dueMs))
  t.equal(second.facts(NAME).state, 'none')
  cpSync(world.path('first', NAME), join(shared, NAME), { recursive: true })
  rmSync(join(shared, 'lock'))
  second.clock.aheadMs = 31_000
  await second.untilState(NAME, 'valid')
  t.equal(serial(second.keeper.pairs[0]), serial(first.keeper.pairs[0]))
  t.equal(serial(second.published.at(-1)?.[0]), serial(first.keeper.pairs[0]), 'and the data threads have it')
  t.equal(world.orders, 1)
})

t.test('an end, or another configuration, in the middle of an order', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const ended = world.start([NAME])
  await until('an order', () => world.orders === 1)
  await world.end(ended)
  t.match(ended.facts(NAME), { failures: 0, lastError: undefined }, 'that is no failure')
  const moved = world.start([NAME])
  await until('another order', () => world.orders === 2)
  const config = world.config({ folder: world.path('elsewhere') })
  t.equal(moved.keeper.configure(config, [NAME, 'two.site.test', '*.site.test']), undefined)
  world.pebble.names.set('two.site.test', '127.0.0.1')
  await moved.untilState('two.site.test', 'valid')
  await moved.untilState(NAME, 'valid')
  t.same(readdirSync(world.path('elsewhere')).sort(), ['account.json', 'two.site.test', NAME])
  t.same([...moved.keeper.leftOut.keys()], ['*.site.test'])
  t.equal(moved.keeper.configure(config, []), undefined)
  t.same(moved.keeper.pairs, [], 'nobody asks for certificates any more')
})

t.test('a server that wants accounts bound to one of its own (RFC 8555 7.3.4)', { skip }, async t => {
  const key = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W'
  const world = await AcmeWorld.start(t, { externalAccounts: { 'kid-1': key } })
  const unbound = world.start([NAME])
  const { lastError, nextTryMs = 0 } = await unbound.untilState(NAME, 'failed')
  t.match(lastError, /no ACME account: .*\(externalAccountRequired\)/)
  t.ok(nextTryMs - Date.now() > 5 * HOUR_MS, 'that does not mend itself')
  await world.end(unbound)
  const wrong = world.start([NAME], { ...bound('kid-1', `A${key.slice(1)}`), folder: world.path('wrong') })
  t.match((await wrong.untilState(NAME, 'failed')).lastError, /no ACME account: /)
  await world.end(wrong)
  const right = world.start([NAME], {
    ...bound('kid-1', key),
    folder: world.path('right'),
    email: 'a@site.test',
  })
  await right.untilState(NAME, 'valid')
  await trusted(t, world, right)
})

t.test('nobody else may read the folder, and rights that are too wide are taken away', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const under = world.start([NAME])
  await under.untilState(NAME, 'valid')
  await world.end(under)
  const files = [
    'account.json',
    ...['certificate.pem', 'key.pem', 'state.json'].map(file => `${NAME}/${file}`),
  ]
  for (const folder of ['.', NAME]) t.equal(modeOf(world.path(folder)), '700', folder)
  for (const file of files) t.equal(modeOf(world.path(file)), '600', file)
  chmodSync(world.path(NAME, 'key.pem'), 0o644)
  chmodSync(world.path(), 0o755)
  const again = world.start([NAME])
  t.equal(modeOf(world.path(NAME, 'key.pem')), '600')
  t.equal(modeOf(world.path()), '700')
  const said = again.said('certificate folder').map(({ file, reason }) => `${file} ${reason}`)
  t.match(said, [
    /acme\/? was accessible .*\(0755\)/,
    /key\.pem was accessible .*\(0644\), which is now fixed/,
  ])
})

function bound(keyId: string, hmacKey: string) {
  return { externalAccount: { keyId, hmacKey } }
}

/** By its owner's wish, from elsewhere (RFC 8555 7.3.6). */
async function closeAccount(world: AcmeWorld): Promise<void> {
  const { url, key } = JSON.parse(readFileSync(world.path('account.json'), 'utf8')) as Record<string, string>
  const caller = new Caller({
    ca: readFileSync(world.pebble.ca, 'latin1'),
    clock: systemClock,
    signal: AbortSignal.timeout(10_000),
  })
  const asked = await caller.call({
    method: 'GET',
    url: world.pebble.directory,
    headers: {},
    body: undefined,
  })
  const directory = JSON.parse(asked.text) as Record<string, unknown>
  const client = new Client({ caller, key: key ?? '', directory: async () => directory }, url)
  t.equal(await client.updateAccount({ status: 'deactivated' }), 'deactivated')
}
