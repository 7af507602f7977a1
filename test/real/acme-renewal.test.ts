import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { AcmeFront } from '../support/acme-front.ts'
import { AcmeWorld } from '../support/acme-world.ts'
import { missingPebble } from '../support/pebble.ts'
import { until } from '../support/until.ts'

// Against Pebble, with something in front that advises on renewals (RFC 9773) and limits rates, which this
// Pebble does not.

const NAME = 'www.site.test'
const HOUR_MS = 3_600_000
const skip = missingPebble()

t.test('renewed when the issuer wants it, and it is told what is replaced (RFC 9773)', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const front = await AcmeFront.start(t, world.pebble)
  const [start, end] = [new Date(Date.now() + 30 * HOUR_MS), new Date(Date.now() + 40 * HOUR_MS)]
  front.advice = { start, end, explanationURL: 'https://issuer.test/why' }
  const under = world.start([NAME], { directory: front.directory })
  const advised = await until('the advice', () => under.said('renewal advised by the issuer')[0])
  t.equal(advised['explanation'], 'https://issuer.test/why')
  const { renewAtMs = 0 } = under.facts(NAME)
  t.ok(renewAtMs >= start.getTime() && renewAtMs <= end.getTime(), 'inside of the window')
  const [pair] = under.keeper.pairs
  const serial = Buffer.from(front.askedAbout[0]?.split('.')[1] ?? '', 'base64url')
  const leaf = new X509Certificate(pair?.certificate ?? '')
  t.equal(serial.toString('hex').toUpperCase().replace(/^00/, ''), leaf.serialNumber)
  under.clock.aheadMs = renewAtMs - Date.now() + 1
  await until('another certificate', () => under.keeper.pairs[0]?.certificate !== pair?.certificate)
  t.same(front.replaced, [front.askedAbout[0]])
  t.equal(world.orders, 2)
})

t.test(
  'a window that is past, as for a revoked certificate, means now; but never twice at once',
  { skip },
  async t => {
    const world = await AcmeWorld.start(t)
    const front = await AcmeFront.start(t, world.pebble)
    const under = world.start([NAME], { directory: front.directory })
    await under.untilState(NAME, 'valid')
    // The clock must not jump while the first question is under way: its answer would count from then.
    await until('the first question', () => under.said('issuer not asked about renewal')[0])
    const [pair] = under.keeper.pairs
    front.advice = { start: new Date(Date.now() - 2 * HOUR_MS), end: new Date(Date.now() - HOUR_MS) }
    under.clock.aheadMs = 2 * HOUR_MS
    await until('another certificate', () => under.keeper.pairs[0]?.certificate !== pair?.certificate)
    await until('the next advice', () => under.said('renewal advised by the issuer').length === 2)
    t.equal(world.orders, 2, 'the issuer says so of the new one too')
    t.equal(under.facts(NAME).state, 'valid')
  },
)

t.test('a rate limit is kept to for as long as the server says (RFC 8555 6.6)', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const front = await AcmeFront.start(t, world.pebble)
  front.refusal = {
    path: /order-plz/,
    status: 429,
    kind: 'rateLimited',
    detail: 'too many',
    retryAfterS: 7200,
  }
  const under = world.start([NAME], { directory: front.directory })
  const { lastError, nextTryMs = 0 } = await under.untilState(NAME, 'failed')
  t.equal(lastError, 'too many (rateLimited)')
  t.ok(nextTryMs - Date.now() > 1.9 * HOUR_MS, 'longer than the first wait of our own')
  under.clock.aheadMs = nextTryMs - Date.now() + 1
  await under.untilState(NAME, 'valid')
})

t.test('a server that will not have the name costs no account', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const front = await AcmeFront.start(t, world.pebble)
  front.refusal = { path: /order-plz/, status: 403, kind: 'unauthorized', detail: 'not your name' }
  const under = world.start([NAME], { directory: front.directory })
  t.equal((await under.untilState(NAME, 'failed')).lastError, 'not your name (unauthorized)')
  t.equal(world.accounts, 1)
})

t.test('a server that cannot be reached is no reason to lose a certificate', { skip }, async t => {
  const world = await AcmeWorld.start(t)
  const under = world.start([NAME])
  const { renewAtMs = 0 } = await under.untilState(NAME, 'valid')
  const [pair] = under.keeper.pairs
  await world.pebble.stop()
  under.clock.aheadMs = renewAtMs - Date.now() + 1
  const { lastError } = await under.untilState(NAME, 'failed')
  t.match(lastError, /localhost:\d+ cannot be reached: ECONNREFUSED/)
  t.equal(under.keeper.pairs[0]?.certificate, pair?.certificate)
})
