import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import {
  assertAllAnswered,
  membersAre,
  QUICK,
  rowOf,
  SELDOM,
  startApps,
  startWith,
} from '../support/discovery-world.ts'
import { Load } from '../support/load.ts'
import { NameServer } from '../support/name-server.ts'
import { ask, get } from '../support/raw-client.ts'
import type { RecordingUpstream } from '../support/recording-upstream.ts'

// A busy machine starts many processes here.

t.test('a name that nobody knows at the start: requests wait, and are answered when it is known', async t => {
  const names = await NameServer.start(t)
  const { apps, port } = await startApps(t, 1)
  const causeway = await startWith(t, names, { endpoints: [`app.test:${port}`], upstream: SELDOM })
  t.same((await rowOf(causeway)).problems, [`app.test:${port}: the name has no address`])
  const answers = [1, 2, 3].map(() => ask(causeway.port(), get('/held')))
  await causeway.metric('causeway_upstream_queue_depth', {}, depth => depth === 3)
  names.set('app.test', '127.0.0.2')
  for (const answer of await Promise.all(answers)) t.equal(answer.status, 200)
  t.same((await rowOf(causeway)).problems, [])
  const lines = causeway.lines.filter(({ msg }) => msg === 'endpoint name not found')
  t.equal(lines.length, 1, 'told once')
  await assertClean(t, causeway, apps)
})

t.test('an app that comes back at another address is found at once, whatever the interval', async t => {
  const names = await NameServer.start(t)
  const { apps, port } = await startApps(t, 2)
  const [old] = apps as [RecordingUpstream, RecordingUpstream]
  const name = `app.test:${port}`
  names.set('app.test', '127.0.0.2')
  const causeway = await startWith(t, names, {
    endpoints: [name],
    upstream: `${SELDOM}\nhealth = { path = "/healthz", interval = "200ms" }`,
  })
  t.equal((await ask(causeway.port(), get('/before'))).status, 200)
  await old.stop()
  names.remove('app.test')
  const answers = [1, 2, 3].map(() => ask(causeway.port(), get('/held')))
  await causeway.metric('causeway_upstream_queue_depth', {}, depth => depth === 3)
  await membersAre(causeway, { [name]: `127.0.0.2:${port}` })
  names.set('app.test', '127.0.0.3')
  for (const answer of await Promise.all(answers)) t.equal(answer.status, 200)
  await assertClean(t, causeway, apps)
})

t.test('a name server that falls silent changes nothing', async t => {
  const names = await NameServer.start(t)
  const { apps, port } = await startApps(t, 1)
  names.set('app.test', '127.0.0.2')
  const causeway = await startWith(t, names, { endpoints: [`app.test:${port}`], upstream: QUICK })
  names.breakName('app.test', 'silent')
  await causeway.line('the trouble', ({ msg, problem }) => {
    return msg === 'endpoint name not found' && problem === 'no name server responds'
  })
  for (let i = 0; i < 10; i += 1) t.equal((await ask(causeway.port(), get('/'))).status, 200)
  names.set('app.test', '127.0.0.2')
  await causeway.line('its end', ({ msg }) => msg === 'endpoint name found')
  await assertClean(t, causeway, apps)
})

t.test('a reload may name other name servers, and other addresses of the same name', async t => {
  const [before, after] = [await NameServer.start(t), await NameServer.start(t)]
  const { apps, port } = await startApps(t, 2)
  const name = `app.test:${port}`
  before.set('app.test', '127.0.0.2', '::1')
  after.set('app.test', '127.0.0.3', '::1')
  const config = (names: NameServer, more = '') => {
    return configText({ endpoints: [name], server: `resolver = ["${names.address}"]`, upstream: more })
  }
  const causeway = await startCauseway(t, { config: config(before, SELDOM) })
  await membersAre(causeway, { [name]: `127.0.0.2:${port}` })
  const load = new Load(causeway.port())
  await load.add(2)
  t.equal(await causeway.reload(config(after, SELDOM)), 'success')
  await membersAre(causeway, { [name]: `127.0.0.3:${port}` })
  await assertAllAnswered(t, load)
  const asked = before.asked('app.test')
  const both = 'discovery = { interval = "1h", family = "both" }'
  t.equal(await causeway.reload(config(after, both)), 'success')
  await membersAre(causeway, { [name]: `127.0.0.3:${port}`, [`${name}/2`]: `[::1]:${port}` })
  t.equal(before.asked('app.test'), asked)
  await assertClean(t, causeway, apps)
})
