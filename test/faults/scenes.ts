import { setTimeout as pause } from 'node:timers/promises'
import { NameServer } from '../support/name-server.ts'
import { FaultyApp, type Manner } from './faulty-app.ts'
import { Gunicorn } from './gunicorn.ts'
import type { Run, Scene, Setting, Stage } from './play.ts'

// What happens to apps in real life, each while requests go on.

const DOWN_MS = 3_000
const WORKERS = 2
const NAME = 'app.test'
const GUNICORN = { server: 'gunicorn', slots: WORKERS } as const

interface Reloading {
  readonly args: readonly string[]
  readonly slots: number
  /** Old workers close connections whose next request they have not read. */
  readonly dropsUnread: boolean
}

/** Work for one of three endpoints while the other two stay untouched. */
type Breaking = (victim: Gunicorn, run: Run) => Promise<void>

async function gunicorns(stage: Stage, count: number): Promise<readonly Gunicorn[]> {
  return Promise.all(
    Array.from({ length: count }, (_, i) => Gunicorn.start(stage, stage.journal, stage.address(i + 1))),
  )
}

/** One endpoint, whose gunicorn gets new workers four times. */
async function reloads(stage: Stage, { args, slots, dropsUnread }: Reloading): Promise<Setting> {
  const app = await Gunicorn.start(stage, stage.journal, stage.address(1), args)
  const before = app.workersStarted
  const shares = [0.125, 0.375, 0.625, 0.875]
  return {
    plan: { ...GUNICORN, slots, endpoints: [app.address] },
    act: async run => {
      for (const share of shares) {
        await run.at(share)
        const over = dropsUnread ? run.breaks(app.address, true) : () => {}
        await app.reload()
        over()
      }
    },
    happened: () => {
      const started = app.workersStarted - before
      if (started < shares.length) throw new Error(`only ${started} workers were started by SIGHUP`)
    },
  }
}

/** An app alone that has been away must be able to do more than what comes. */
const ALONE = { server: 'gunicorn', slots: 4 } as const
const ALONE_ARGS = ['--workers', '4'] as const

/** One endpoint that is stopped in order, away for three seconds, and started again. */
async function restart(stage: Stage): Promise<Setting> {
  const app = await Gunicorn.start(stage, stage.journal, stage.address(1), ALONE_ARGS)
  return {
    plan: { ...ALONE, endpoints: [app.address] },
    act: async run => {
      await run.at(0.25)
      const over = run.breaks(app.address, true)
      await app.stop()
      over()
      await pause(DOWN_MS)
      await app.startAgain()
    },
  }
}

async function killed(victim: Gunicorn, run: Run): Promise<void> {
  await run.at(0.25)
  const over = run.breaks(victim.address, true)
  await victim.kill()
  over()
  await run.at(0.5)
  await victim.startAgain()
}

async function frozen(victim: Gunicorn, run: Run): Promise<void> {
  await run.at(0.25)
  const over = run.breaks(victim.address, true)
  victim.freeze()
  await run.at(0.5)
  victim.thaw()
  over()
}

async function oneOfThree(stage: Stage, breaking: Breaking): Promise<Setting> {
  const apps = await gunicorns(stage, 3)
  const [victim] = apps as [Gunicorn]
  return {
    plan: { ...GUNICORN, endpoints: apps.map(({ address }) => address), responseMs: 2_000 },
    ...servesBeforeAndAfter(victim.address, run => breaking(victim, run)),
  }
}

/** Two gunicorns, and one app that behaves like this for a quarter of the time. */
async function oneMisbehaves(stage: Stage, manner: Manner): Promise<Setting> {
  const others = await gunicorns(stage, 2)
  const victim = await FaultyApp.start(stage.journal, stage.address(3))
  stage.teardown(() => victim.stop())
  return {
    plan: {
      endpoints: [...others, victim].map(({ address }) => address),
      slots: WORKERS,
      responseMs: 2_000,
    },
    ...servesBeforeAndAfter(victim.address, async run => {
      await run.at(0.25)
      const over = run.breaks(victim.address, false)
      victim.manner = manner
      await run.at(0.5)
      victim.manner = 'well'
      over()
    }),
  }
}

/**
 * The name of the only endpoint leads to another address: the old app ends, the new one starts, and the name
 * follows.
 */
async function moves(stage: Stage): Promise<Setting> {
  const names = await NameServer.start(stage)
  const [from, to] = [stage.address(2), stage.address(3)]
  const [host = '', port = ''] = from.split(':')
  names.set(NAME, host)
  const app = await Gunicorn.start(stage, stage.journal, from, ALONE_ARGS)
  return {
    plan: { ...ALONE, endpoints: [`${NAME}:${port}`], resolver: names.address },
    act: async run => {
      await run.at(0.25)
      const over = run.breaks(from, true)
      await app.stop()
      over()
      names.remove(NAME)
      await Gunicorn.start(stage, stage.journal, to, ALONE_ARGS)
      names.set(NAME, to.split(':')[0] as string)
    },
    happened: run => {
      if (run.arrivedAt(to) === 0) throw new Error('nothing arrived at the new address')
    },
  }
}

/** Two endpoints, and every other second a third; what else the configuration says changes as well. */
async function reconfigured(stage: Stage): Promise<Setting> {
  const endpoints = (await gunicorns(stage, 3)).map(({ address }) => address)
  const plans = [
    { ...GUNICORN, endpoints: endpoints.slice(0, 2) },
    { ...GUNICORN, endpoints, changed: true },
  ] as const
  return {
    plan: plans[0],
    act: async run => {
      const count = Math.floor(run.durationMs / 1000) - 1
      for (let number = 1; number <= count; number += 1) {
        await run.at((number * 1000) / run.durationMs)
        await run.front.reload(plans[number % 2 === 0 ? 0 : 1])
      }
    },
    happened: run => {
      for (const endpoint of endpoints) {
        if (run.arrivedAt(endpoint) === 0) throw new Error(`nothing arrived at ${endpoint}`)
      }
    },
  }
}

/** Watches that the endpoint had work before it broke, and has work again at the end. */
function servesBeforeAndAfter(endpoint: string, breaking: (run: Run) => Promise<void>) {
  let before = 0
  let during = 0
  return {
    act: async (run: Run) => {
      await run.at(0.24)
      before = run.arrivedAt(endpoint)
      await breaking(run)
      during = run.arrivedAt(endpoint)
    },
    happened: (run: Run) => {
      if (before === 0) throw new Error(`${endpoint} had no work before it broke`)
      if (run.arrivedAt(endpoint) === during)
        throw new Error(`${endpoint} had no work once it was well again`)
    },
  }
}

/** A failing endpoint is found out by failures: a handful of requests has to run into it first. */
const A_HANDFUL = 10

/**
 * An app that goes takes at most as many requests along as it has slots; sync workers that end in order take
 * those that their kernel has and they have not accepted.
 */
export const SCENES: readonly Scene[] = [
  {
    name: 'gunicorn gets SIGHUP, sync workers',
    mostInside: 0,
    set: stage => reloads(stage, { args: ['--workers', '2'], slots: 2, dropsUnread: false }),
  },
  {
    name: 'gunicorn gets SIGHUP, threads',
    mostInside: A_HANDFUL,
    set: stage => reloads(stage, { args: ['--workers', '2', '--threads', '2'], slots: 4, dropsUnread: true }),
  },
  { name: 'the only app is restarted, 3 s away', mostInside: ALONE.slots, set: restart },
  { name: 'one of three killed', mostInside: WORKERS, set: stage => oneOfThree(stage, killed) },
  { name: 'one of three hangs', mostInside: A_HANDFUL, set: stage => oneOfThree(stage, frozen) },
  {
    name: 'one of three answers 500',
    mostInside: A_HANDFUL,
    set: stage => oneMisbehaves(stage, 'answers 500'),
  },
  {
    name: 'one of three resets connections',
    mostInside: A_HANDFUL,
    set: stage => oneMisbehaves(stage, 'resets'),
  },
  {
    name: 'one of three closes without an answer',
    mostInside: A_HANDFUL,
    set: stage => oneMisbehaves(stage, 'closes'),
  },
  {
    name: 'one of three accepts and never answers',
    mostInside: A_HANDFUL,
    set: stage => oneMisbehaves(stage, 'never answers'),
  },
  { name: 'the name of the app leads to a new address', mostInside: ALONE.slots, set: moves },
  { name: 'the configuration changes every second', mostInside: 0, set: reconfigured },
]
