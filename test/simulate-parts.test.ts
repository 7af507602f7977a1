import { readFileSync } from 'node:fs'
import t from 'tap'
import { readDocument } from '../lib/config/document.ts'
import { type Section, tomlKey } from '../lib/config/option.ts'
import { loggedArrivals, readAccessLog } from '../lib/simulate/access-log.ts'
import { Agenda } from '../lib/simulate/agenda.ts'
import { readDescription } from '../lib/simulate/description.ts'
import { descriptionSection } from '../lib/simulate/description-section.ts'
import { describedArrivals } from '../lib/simulate/load.ts'
import { randomStream } from '../lib/simulate/random.ts'
import { normalQuantile, type ServiceLaw, serviceMs } from '../lib/simulate/service-law.ts'

t.test('appointments happen in the order of time, and at one time in the order of planning', async t => {
  const agenda = new Agenda()
  const random = randomStream(1, 'test')
  const seen: [number, number][] = []
  for (let n = 0; n < 1000; n += 1) {
    const atMs = Math.floor(random() * 50)
    agenda.at(atMs, () => seen.push([agenda.now(), n]))
  }
  agenda.at(25, () => agenda.at(3, () => seen.push([agenda.now(), 1000])))
  while (agenda.proceed());
  t.equal(seen.length, 1001)
  t.same(
    seen,
    seen.toSorted(([atA, a], [atB, b]) => atA - atB || a - b),
  )
  t.ok(
    seen.some(([atMs, n]) => atMs === 25 && n === 1000),
    'what is late happens now',
  )
  t.equal(agenda.wall(), 49)
})

t.test('random streams are even, repeat for a seed, and have nothing to do with each other', async t => {
  const draw = (seed: number, stream: string) => {
    const next = randomStream(seed, stream)
    return Array.from({ length: 10_000 }, next)
  }
  const draws = draw(1, 'a')
  t.same(draw(1, 'a'), draws)
  for (const other of [draw(2, 'a'), draw(1, 'b'), draw(2 ** 32 + 1, 'a')]) {
    t.equal(other.filter((value, i) => value === draws[i]).length, 0)
    const together = other.filter((value, i) => value < 0.5 === (draws[i] ?? 0) < 0.5).length
    t.ok(Math.abs(together - 5000) < 200, `${together} on the same side`)
    const mean = other.reduce((sum, value) => sum + value, 0) / other.length
    t.ok(Math.abs(mean - 0.5) < 0.01, `${mean}`)
  }
  t.ok(draws.every(value => value >= 0 && value < 1))
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const share = draws.filter(value => Math.floor(value * 10) === tenth).length / draws.length
    t.ok(Math.abs(share - 0.1) < 0.01, `${share}`)
  }
})

t.test('the quantiles of the normal distribution', async t => {
  // Abramowitz and Stegun, table 26.5.
  for (const [share, z] of [
    [0.5, 0],
    [0.9, 1.2815515655],
    [0.99, 2.326347874],
    [0.999, 3.0902323062],
    [0.01, -2.326347874],
  ] as const) {
    t.ok(Math.abs(normalQuantile(share) - z) < 1e-7, `${share}`)
  }
  t.ok(Number.isFinite(normalQuantile(0)))
  t.ok(Number.isFinite(normalQuantile(1)))
})

t.test('times of work follow their law', async t => {
  const sigma = Math.log(8) / 2.326347874
  const laws: readonly (readonly [ServiceLaw, number])[] = [
    [{ law: 'constant', ms: 10 }, 10],
    [{ law: 'exponential', meanMs: 10 }, 10],
    [{ law: 'lognormal', p50Ms: 10, p99Ms: 80 }, 10 * Math.exp(sigma ** 2 / 2)],
    [{ law: 'seen', sortedMs: [8, 12, 40] }, 20],
  ]
  for (const [law, wanted] of laws) {
    const next = randomStream(1, law.law)
    const times = Array.from({ length: 200_000 }, () => {
      return serviceMs(law, { quantile: next(), loggedMs: undefined, loggedAt: undefined })
    }).toSorted((a, b) => a - b)
    const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length
    t.ok(Math.abs(mean - wanted) < 0.02 * wanted, `${law.law}: ${mean}, not ${wanted}`)
    if (law.law !== 'lognormal') continue
    t.ok(Math.abs((times[100_000] ?? 0) - 10) < 0.2)
    t.ok(Math.abs((times[198_000] ?? 0) - 80) < 4)
  }
})

t.test('what a request took in the log is worth more at a slower endpoint', async t => {
  const factors = new Map([
    ['fast', 0.5],
    ['slow', 2],
  ])
  const at = (own: number, loggedAt: string) => {
    return serviceMs({ law: 'logged', factors, own }, { quantile: 0.5, loggedMs: 12, loggedAt })
  }
  t.equal(at(0.5, 'fast'), 12)
  t.equal(at(2, 'fast'), 48)
  t.equal(at(0.5, 'slow'), 3)
  t.equal(at(1, 'unknown'), 12)
})

t.test('described loads have their rate and their mix', async t => {
  const load = { perSecond: 1000, durationMs: 100_000, highShare: 0.1, lowShare: 0.3, postShare: 0.2 }
  const poisson = [...describedArrivals({ ...load, arrivals: 'poisson' }, 1)]
  t.ok(Math.abs(poisson.length - 100_000) < 1500)
  const share = (test: (arrival: (typeof poisson)[number]) => boolean) =>
    poisson.filter(test).length / poisson.length
  t.ok(Math.abs(share(({ priority }) => priority === 'high') - 0.1) < 0.01)
  t.ok(Math.abs(share(({ priority }) => priority === 'low') - 0.3) < 0.01)
  t.ok(Math.abs(share(({ idempotent }) => !idempotent) - 0.2) < 0.01)
  const gaps = poisson.map(({ atMs }, i) => atMs - (poisson[i - 1]?.atMs ?? 0))
  t.ok(Math.abs(gaps.filter(gap => gap > 1).length / gaps.length - Math.exp(-1)) < 0.01, 'exponential gaps')
  const even = [...describedArrivals({ ...load, durationMs: 10, arrivals: 'uniform' }, 1)]
  t.same(
    even.map(({ atMs }) => atMs),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
})

async function* linesOf(...lines: (object | string)[]): AsyncGenerator<string> {
  for (const line of lines) yield typeof line === 'string' ? line : JSON.stringify(line)
}

const line = (second: number, changes: object = {}) => ({
  level: 'info',
  time: `2026-11-23T10:00:${String(second).padStart(2, '0')}.500Z`,
  msg: 'access',
  method: 'GET',
  status: 200,
  dur_ms: 100,
  upstream: 'app',
  endpoint: 'a:1',
  attempts: 1,
  upstream_ms: 40,
  end: 'ok',
  ...changes,
})

t.test('an access log: when requests were ready to be sent, and how long they took at the app', async t => {
  const log = await readAccessLog(
    linesOf(
      line(3, { connect_ms: 10 }),
      line(1, { method: 'POST', body_ms: 60 }),
      'no JSON',
      '5',
      { ...line(2), msg: 'ready' },
      { ...line(2), upstream: undefined },
      line(2, { endpoint: 'b:1', upstream_ms: 90 }),
      { ...line(4), time: 'yesterday' },
      { ...line(4), endpoint: undefined, upstream_ms: undefined, end: 'queue_full', status: 503 },
      line(5, { attempts: 2, connect_ms: 500, upstream_ms: 20 }),
    ),
    undefined,
  )
  if (typeof log === 'string') throw new Error(log)
  t.equal(log.upstream, 'app')
  t.equal(log.skipped, 5)
  const startMs = Date.parse('2026-11-23T10:00:01.460Z')
  t.same(
    log.requests.map(({ atMs, ...rest }) => ({ atMs: atMs - startMs, ...rest })),
    [
      { atMs: 0, tookMs: 40, endpoint: 'a:1', idempotent: false },
      { atMs: 940, tookMs: 90, endpoint: 'b:1', idempotent: true },
      { atMs: 1940, tookMs: 30, endpoint: 'a:1', idempotent: true },
      { atMs: 2940, tookMs: undefined, endpoint: undefined, idempotent: true },
      { atMs: 3940, tookMs: 20, endpoint: 'a:1', idempotent: true },
    ],
  )
  t.same(Object.fromEntries(log.factors), { 'a:1': 30 / 40, 'b:1': 90 / 40 })
  const arrivals = [...loggedArrivals(log, 2, 1)]
  t.same(
    arrivals.map(({ atMs }) => atMs),
    [0, 470, 970, 1470, 1970],
  )
  const stranger = arrivals[3]?.demand
  t.ok(stranger?.loggedMs !== undefined && stranger.loggedAt !== undefined, 'takes as long as some other')
})

t.test('a log of several upstreams has to be told which', async t => {
  const lines = () => linesOf(line(1), line(2, { upstream: 'api' }), line(3, { upstream: 'api' }))
  t.match(await readAccessLog(lines(), 'api'), { upstream: 'api', requests: { length: 2 } })
  t.equal(
    await readAccessLog(lines(), undefined),
    'contains several upstreams: choose one with --upstream; its upstreams are app, api',
  )
  t.equal(
    await readAccessLog(lines(), 'web'),
    'contains no request for upstream "web"; its upstreams are app, api',
  )
  t.equal(await readAccessLog(linesOf('x'), undefined), 'contains no access log line of a proxied request')
})

/** Every key of a section and of the tables in it; the words of the upstream are explained elsewhere. */
function keysOf(section: Section): string[] {
  return Object.entries(section).flatMap(([name, { fields }]) => {
    return [tomlKey(name), ...(fields === undefined || name === 'upstream' ? [] : keysOf(fields))]
  })
}

t.test('the README explains every word of a description, and its example can be read', async t => {
  const readme = readFileSync('lib/simulate/README.md', 'utf8')
  const keys = keysOf(descriptionSection).filter(
    key => !['load', 'endpoints', 'faults', 'upstream'].includes(key),
  )
  t.ok(keys.length > 20)
  for (const key of keys) t.ok(readme.includes(`\`${key}\``), key)
  const [, example = ''] = /```toml\n([\s\S]*?)```/.exec(readme) ?? []
  const read = await readDescription(`${t.testdir({ 'pool.toml': example })}/pool.toml`, {}, false)
  t.match(read, {
    ok: true,
    warnings: [],
    value: {
      apps: [
        { name: 'fast-1', faults: [{ kind: 'restart' }] },
        { name: 'fast-2' },
        { name: 'fast-3' },
        { name: 'slow' },
      ],
      upstream: { maxInflight: 4 },
      saysUpstream: true,
    },
  })
})

t.test('a file that is no configuration is read with the same care', async t => {
  const section = { rate: descriptionSection.threads }
  const read = (path: string) => readDocument(path, section, { N: '5' }, ({ rate }) => rate)
  const folder = t.testdir({
    'good.toml': `rate = "$\{N}"`,
    'bad.toml': 'rate = ',
    'wide.toml': Buffer.from([0xff]),
  })
  t.match(await read(`${folder}/good.toml`), { ok: true, value: 5 })
  t.match(await read(`${folder}/bad.toml`), { ok: false, problems: [{ line: 1 }] })
  t.match(await read(`${folder}/wide.toml`), {
    ok: false,
    problems: [{ message: 'line 1 is not UTF-8 text' }],
  })
  t.match(await read(`${folder}/none.toml`), { ok: false, problems: [{ message: 'there is no such file' }] })
  t.match(await read(folder), { ok: false, problems: [{ message: 'cannot be read: it is a folder' }] })
})
