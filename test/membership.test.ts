import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../lib/base/clock.ts'
import { Timers } from '../lib/base/timers.ts'
import { endpointList, parseWrittenEndpoint } from '../lib/config/endpoints-file.ts'
import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot, UpstreamConfig } from '../lib/config/model.ts'
import { Membership } from '../lib/server/rollout/membership.ts'
import { configuredText, type EndpointSource } from '../lib/server/rollout/overlay.ts'
import { until } from './support/until.ts'

async function snapshotOf(
  t: Test,
  upstream: string,
  file = '',
): Promise<{ snapshot: Snapshot; file: string }> {
  const folder = t.testdir({ list: file, 'a.toml': '' })
  const path = join(folder, 'list')
  const text = upstream.replace('FILE', JSON.stringify(path))
  writeFileSync(
    join(folder, 'a.toml'),
    `[listeners.web]\naddress = "127.0.0.1:0"\n[upstreams.app]\n${text}\n`,
  )
  const loaded = await loadConfig(join(folder, 'a.toml'), {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return { snapshot: loaded.snapshot, file: path }
}

function makeMembership(t: Test) {
  const timers = new Timers(systemClock)
  timers.start()
  const events: object[] = []
  const say = (fields: object, event: string) => events.push({ ...fields, event })
  const log = { debug: say, info: say, warn: say, error: say, fatal: say }
  let changes = 0
  const membership = new Membership({
    clock: systemClock,
    timers,
    log,
    random: () => 0.5,
    changed: () => {
      changes += 1
    },
  })
  t.teardown(() => {
    membership.stop()
    timers.stop()
  })
  return { membership, events, changes: () => changes }
}

function sourceOf(...texts: readonly string[]): EndpointSource {
  const written = texts.map(text => {
    const reading = parseWrittenEndpoint(text)
    if ('fault' in reading) throw new Error(reading.fault)
    return reading.value
  })
  return { ...endpointList(written), endpointsFile: undefined }
}

function namesIn({ snapshot }: { readonly snapshot: Snapshot }): string[] {
  return (snapshot.upstreams[0] as UpstreamConfig).endpoints.map(({ name }) => name)
}

t.test('configured, found by name and listed in a file: each address once, the first counts', async t => {
  const { snapshot } = await snapshotOf(
    t,
    'endpoints = ["127.0.0.1:1", "127.0.0.1:2"]\nendpoints_file = FILE',
    'http://127.0.0.1:2\n127.0.0.1:3 weight=4\n',
  )
  const { membership } = makeMembership(t)
  await membership.prepare(snapshot)
  membership.adopt(snapshot)
  const members = membership.membersOf(snapshot)
  t.same(namesIn(members), ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'])
  t.equal(members.snapshot.upstreams[0]?.endpoints[2]?.weight, 4)
  t.same(members.quiet, [])
  t.same(membership.problems('app'), [])
  t.same(membership.problems('other'), [])
})

t.test('what the upstream cannot speak is left out, and said', async t => {
  const { snapshot } = await snapshotOf(
    t,
    'endpoints = ["127.0.0.1:1"]\nbody = "stream"\nendpoints_file = FILE',
    'uwsgi://127.0.0.1:2\n',
  )
  const { membership } = makeMembership(t)
  await membership.prepare(snapshot)
  membership.adopt(snapshot)
  t.same(namesIn(membership.membersOf(snapshot)), ['127.0.0.1:1'])
  t.same(membership.problems('app'), ['uwsgi://127.0.0.1:2: the uwsgi protocol needs body = "spool"'])
})

t.test('a file that is only in a configuration that was refused is followed no more', async t => {
  const one = await snapshotOf(t, 'endpoints = ["127.0.0.1:1"]')
  const { membership, changes } = makeMembership(t)
  await membership.prepare(one.snapshot)
  membership.adopt(one.snapshot)
  const upstreams = one.snapshot.upstreams.map(upstream => ({ ...upstream, endpointsFile: one.file }))
  const two = { ...one.snapshot, upstreams }
  writeFileSync(one.file, '127.0.0.1:9')
  await membership.prepare(two)
  t.same(namesIn(membership.membersOf(two)), ['127.0.0.1:1', '127.0.0.1:9'])
  t.same(namesIn(membership.membersOf(one.snapshot)), ['127.0.0.1:1'], 'the running one is as it was')
  membership.abandon()
  t.same(namesIn(membership.membersOf(two)), ['127.0.0.1:1'])
  const before = changes()
  membership.adopt(two)
  await until('the file to be read anew', () => changes() > before)
  t.same(namesIn(membership.membersOf(two)), ['127.0.0.1:1', '127.0.0.1:9'])
})

t.test('a deploy: first aside, then in front, and over when something else is configured', async t => {
  const { snapshot } = await snapshotOf(t, 'endpoints = ["127.0.0.1:1", "127.0.0.1:2"]')
  const { membership, events } = makeMembership(t)
  await membership.prepare(snapshot)
  membership.adopt(snapshot)
  const upstream = snapshot.upstreams[0] as UpstreamConfig
  const configured = configuredText(upstream)
  const source = sourceOf('127.0.0.1:2', '127.0.0.1:3')
  const quietNames = () => membership.membersOf(snapshot).quiet.map(({ endpoint }) => endpoint.name)
  membership.setOverlay('app', { configured, present: undefined, aside: { source } })
  t.same(namesIn(membership.membersOf(snapshot)), ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'])
  t.same(quietNames(), ['127.0.0.1:3'], 'who is there already gets its traffic')
  t.equal(membership.deployed('app'), undefined)
  membership.setOverlay('app', { configured, present: source, aside: { source: undefined } })
  t.same(namesIn(membership.membersOf(snapshot)), ['127.0.0.1:2', '127.0.0.1:3', '127.0.0.1:1'])
  t.same(quietNames(), ['127.0.0.1:1'])
  t.same(membership.deployed('app'), ['127.0.0.1:2', '127.0.0.1:3'])
  membership.adopt(snapshot)
  t.same(membership.deployed('app'), ['127.0.0.1:2', '127.0.0.1:3'], 'the same configuration')
  const other = { ...snapshot, upstreams: [{ ...upstream, endpoints: upstream.endpoints.slice(1) }] }
  t.same(namesIn(membership.membersOf(other)), ['127.0.0.1:2'], 'even before it is taken')
  membership.adopt(other)
  t.equal(membership.overlay('app'), undefined)
  t.match(events.at(-1), { upstream: 'app', event: /^deploy is over/ })
})

t.test('names of a deploy are looked up; what they stand for is not known at once', async t => {
  const { snapshot } = await snapshotOf(t, 'endpoints = ["127.0.0.1:1"]')
  const { membership } = makeMembership(t)
  await membership.prepare(snapshot)
  membership.adopt(snapshot)
  const upstream = snapshot.upstreams[0] as UpstreamConfig
  const source = sourceOf('no-such-name.invalid:1', '127.0.0.1:2')
  membership.setOverlay('app', { configured: configuredText(upstream), present: source, aside: undefined })
  t.same(namesIn(membership.membersOf(snapshot)), ['127.0.0.1:2'])
  t.same(membership.unknownNames(upstream, source), ['no-such-name.invalid:1'])
  t.same(membership.unknownNames(upstream), [])
  await until('the problem', () => membership.problems('app').length > 0)
  t.match(membership.problems('app'), [/^no-such-name\.invalid:1: /])
})
