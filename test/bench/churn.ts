import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Running, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { runInScope, type ScopedRun } from '../support/scoped-run.ts'
import { isFlat, slopeOf } from '../support/slope.ts'
import { tableOf } from './bench-run.ts'
import { type Act, Acts } from './churn/acts.ts'
import { startApp, startEcho } from './churn/app.ts'
import { attacksOn } from './churn/attacks.ts'
import { changesOf, endpointsText, swapCertificate } from './churn/changes.ts'
import { CounterGuard, type QuietSample, sampleOf } from './churn/samples.ts'
import { endpointsOf, type Ground, replaceFile, siteOf, writeStaticRoot } from './churn/site.ts'
import { honestTraffic } from './churn/traffic.ts'

// Hours of everything that comes and goes: connections of all kinds, reloads with names that nobody had
// before, endpoints, certificates, logs, and attacks by turns. Now and then all of it rests, and what the
// process then holds is noted: memory, descriptors and names must not grow. `node test/bench/churn.ts
// --minutes 120 --strict`.

const USAGE = `node test/bench/churn.ts [options]
  --minutes N   length of the run (120)
  --every N     minutes between two quiet samples (5)
  --rest N      seconds of quiet before a sample (40)
  --warm N      minutes whose samples do not count (15)
  --workers N   data threads (2)
  --strict      exit 1 when something grew, fell, or was thrown
`

const GUARD_MS = 10_000
const APPS = 3
const NAMES = ['example.test']

interface Options {
  readonly minutes: number
  readonly every: number
  readonly rest: number
  readonly warm: number
  readonly workers: number
  readonly strict: boolean
}

function optionsOf(): Options {
  const number = (text: string, name: string) => {
    const value = Number(text)
    if (!(value >= 0)) throw new TypeError(`--${name}: expected a number, got "${text}"`)
    return value
  }
  const text = (value: string) => ({ type: 'string', default: value }) as const
  const { values } = parseArgs({
    options: {
      ...{ minutes: text('120'), every: text('5'), rest: text('40'), warm: text('15'), workers: text('2') },
      strict: { type: 'boolean', default: false },
    },
  })
  return {
    minutes: number(values.minutes, 'minutes'),
    every: number(values.every, 'every'),
    rest: number(values.rest, 'rest'),
    warm: number(values.warm, 'warm'),
    workers: number(values.workers, 'workers'),
    strict: values.strict,
  }
}

interface World {
  readonly causeway: Running
  readonly acts: Acts
}

async function begin({ scope, folder }: ScopedRun, workers: number): Promise<World> {
  const appPorts = await Promise.all(Array.from({ length: APPS }, () => startApp(scope)))
  const ground: Ground = { folder, appPorts, echoPort: await startEcho(scope), workers }
  const authority = new TestAuthority(folder)
  const certificates = Array.from({ length: 4 }, () => authority.issue({ names: NAMES }))
  writeStaticRoot(ground)
  swapCertificate(ground, certificates[0])
  replaceFile(endpointsOf(ground), endpointsText(ground, 0))
  const causeway = await startCauseway(scope, {
    config: siteOf(ground, 0),
    cwd: join(import.meta.dirname, '../..'),
  })
  const all: readonly Act[] = [
    ...honestTraffic(causeway, authority.certificate),
    ...changesOf(causeway, ground, certificates),
    attacksOn(causeway),
  ]
  return { causeway, acts: new Acts(all) }
}

/** Runs until the time is over; gives the quiet samples. */
async function churn(world: World, guard: CounterGuard, options: Options): Promise<readonly QuietSample[]> {
  const { causeway, acts } = world
  const begun = performance.now()
  const samples: QuietSample[] = []
  while (performance.now() - begun < options.minutes * 60_000) {
    acts.begin()
    const until = performance.now() + options.every * 60_000
    while (performance.now() < until) {
      await delay(GUARD_MS)
      await guard.look()
    }
    await acts.pause()
    const sample = await sampleOf(causeway, begun, options.rest * 1000)
    samples.push(sample)
    process.stderr.write(`${JSON.stringify(sample)}\n`)
  }
  return samples
}

const QUANTITIES = ['rssMiB', 'descriptors', 'series'] as const

function growth(
  samples: readonly QuietSample[],
  warmMinutes: number,
): readonly { text: readonly string[]; grew: boolean }[] {
  const counted = samples.filter(({ hours }) => hours * 60 >= warmMinutes)
  return QUANTITIES.map(name => {
    const slope = slopeOf(counted.map(sample => ({ x: sample.hours, y: sample[name] })))
    const grew = slope.perUnit > 0 && !isFlat(slope)
    const [first, last] = [counted[0]?.[name] ?? 0, counted.at(-1)?.[name] ?? 0]
    const cells = [first, last, slope.perUnit, slope.margin].map(value => value.toFixed(1))
    return { text: [name, ...cells, grew ? 'grew' : 'flat'], grew }
  })
}

function failuresOf({ tallies }: Acts): readonly (readonly string[])[] {
  return [...tallies].map(([name, { turns, failures }]) => {
    const words = [...failures].map(([what, count]) => `${count} x ${what}`)
    return [name, String(turns), words.join('; ')]
  })
}

await runInScope({ name: 'churn', usage: USAGE, longestMs: 4 * 3_600_000 }, async run => {
  const options = optionsOf()
  const world = await begin(run, options.workers)
  const guard = new CounterGuard(world.causeway)
  const samples = await churn(world, guard, options)
  const uncaught = (await world.causeway.metrics()).sum('causeway_uncaught_errors_total')
  const rows = growth(samples, options.warm)
  process.stdout.write(tableOf(['act', 'turns', 'failed turns'], failuresOf(world.acts)))
  process.stdout.write(
    tableOf(
      ['quantity', 'first', 'last', 'slope per hour', '95 % margin', 'verdict'],
      rows.map(({ text }) => text),
    ),
  )
  process.stdout.write(
    `uncaught errors: ${uncaught}; counters fallen in ${guard.scrapes} scrapes: ${guard.fallen.length}\n`,
  )
  for (const line of guard.fallen.slice(0, 20)) process.stdout.write(`${line}\n`)
  const exit = await world.causeway.stop()
  process.stdout.write(`exit code: ${exit}\n`)
  const bad = uncaught > 0 || guard.fallen.length > 0 || exit !== 0 || rows.some(({ grew }) => grew)
  return options.strict && bad ? 1 : 0
})
