import { renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Timers } from '../lib/base/timers.ts'
import { parseEndpointsFile } from '../lib/config/endpoints-file.ts'
import { FileWatch } from '../upstreams/discovery/file-watch.ts'
import { FakeClock } from './support/fake-clock.ts'
import { until } from './support/until.ts'

t.test('one endpoint a line, with weight and backup behind it', async t => {
  const text = `
# the app
10.0.0.1:8000
10.0.0.2:8000 weight=3   # the large one
  unix:/run/app.sock backup\r
uwsgi://[::1]:3031\tweight=2 backup
app:8000 weight=7
srv://_http._tcp.app.example backup
`
  t.match(parseEndpointsFile(text), {
    value: {
      endpoints: [
        { name: '10.0.0.1:8000', address: { host: '10.0.0.1', port: 8000 }, weight: 1, backup: false },
        { name: '10.0.0.2:8000', weight: 3 },
        { name: 'unix:/run/app.sock', address: { kind: 'unix', path: '/run/app.sock' }, backup: true },
        { name: 'uwsgi://[::1]:3031', protocol: 'uwsgi', weight: 2, backup: true },
      ],
      names: [
        { name: 'app:8000', lookup: { kind: 'host', host: 'app', port: 8000 }, weight: 7 },
        { name: 'srv://_http._tcp.app.example', lookup: { kind: 'srv' }, backup: true },
      ],
    },
  })
  t.same(parseEndpointsFile('\n# nobody\n'), { value: { endpoints: [], names: [] } })
})

t.test('the first mistake is told with its line', async t => {
  const bad: [string, RegExp][] = [
    ['app', /"app": the address has no port/],
    ['app:8000 weight=0', /must be from 1 to 1000/],
    ['app:8000 weight=1001', /must be from 1 to 1000/],
    ['app:8000 weight=-1', /"weight=-1": expected "weight=2" or "backup"/],
    ['app:8000 wieght=1', /"wieght=1"/],
    ['app:8000 app:8001', /"app:8001"/],
    ['300.1.1.1:80', /expected an address/],
    ['ftp://app:443', /scheme is not supported/],
    ['app:0', /port/],
    ['\0:80', /expected an address/],
  ]
  for (const [line, fault] of bad) {
    const reading = parseEndpointsFile(`ok:1\n\n${line}\nworse`)
    t.match(reading, { line: 3, fault }, JSON.stringify(line))
  }
})

const NAMES = ({ list }: FileWatch) => list.endpoints.map(({ name }) => name)

function makeWatch(t: Test, path: string) {
  const clock = new FakeClock()
  const timers = new Timers(clock)
  const events: string[] = []
  const watch = new FileWatch(path, timers, {
    changed: () => events.push(`changed: ${NAMES(watch).join(' ')}`),
    troubled: (_path, problem) => events.push(problem ?? 'fine'),
  })
  t.teardown(() => watch.stop())
  /** Lets seconds pass, with the looks that are due in them, until it is so. */
  const passUntil = (what: string, probe: () => boolean) => {
    return until(what, () => {
      clock.pass(100)
      timers.advance()
      return probe()
    })
  }
  return { watch, events, passUntil }
}

t.test('a file is taken at the start, and again whenever it has changed and keeps still', async t => {
  const path = join(t.testdir({ list: '10.0.0.1:1\n' }), 'list')
  const { watch, events, passUntil } = makeWatch(t, path)
  await watch.first
  t.same(events, ['changed: 10.0.0.1:1'])
  writeFileSync(path, '10.0.0.1:1\n10.0.0.2:1\n')
  await passUntil('the change', () => events.length > 1)
  t.same(NAMES(watch), ['10.0.0.1:1', '10.0.0.2:1'])
  utimesSync(path, 1, 1)
  writeFileSync(`${path}.new`, '10.0.0.3:1\n')
  renameSync(`${path}.new`, path)
  await passUntil('the rename', () => events.length > 2)
  t.same(events.slice(2), ['changed: 10.0.0.3:1'])
})

t.test('the list goes on while the file is wrong or gone; each trouble is told once', async t => {
  const path = join(t.testdir({ list: '10.0.0.1:1\n' }), 'list')
  const { watch, events, passUntil } = makeWatch(t, path)
  await watch.first
  writeFileSync(path, '10.0.0.2:1\n10.0.0.3\n')
  await passUntil('the mistake', () => events.length > 1)
  t.match(events[1], /list:2: "10.0.0.3": the address has no port/)
  rmSync(path)
  await passUntil('the loss', () => events.length > 2)
  t.same(NAMES(watch), ['10.0.0.1:1'])
  writeFileSync(path, '10.0.0.1:1\n')
  await passUntil('its return', () => events.length > 3)
  t.same(events.slice(2), ['there is no such file', 'fine'])
  writeFileSync(path, '')
  await passUntil('the empty file', () => events.length > 4)
  t.same(NAMES(watch), [], 'a list without endpoints is a list')
})

t.test('a file that comes later is taken then, also by a symbolic link that is turned', async t => {
  const folder = t.testdir({ one: { list: '10.0.0.1:1' }, two: { list: '10.0.0.2:1' } })
  const { watch, events, passUntil } = makeWatch(t, join(folder, 'now', 'list'))
  await watch.first
  t.same(events, ['there is no such file'])
  t.same(watch.problem, 'there is no such file')
  symlinkSync('one', join(folder, 'now'))
  await passUntil('the first', () => events.includes('changed: 10.0.0.1:1'))
  symlinkSync('two', join(folder, 'next'))
  renameSync(join(folder, 'next'), join(folder, 'now'))
  await passUntil('the second', () => events.includes('changed: 10.0.0.2:1'))
})

t.test('a folder, and a file that is no list', async t => {
  const folder = t.testdir({ big: `${'#'.repeat(1024 * 1024)}\n10.0.0.1:1` })
  for (const [path, problem] of [
    [folder, 'this is a folder'],
    [join(folder, 'big'), /larger than 1 MiB/],
  ] as const) {
    const { watch, events } = makeWatch(t, path)
    await watch.first
    t.match(events[0], problem)
    t.same(NAMES(watch), [])
  }
})
