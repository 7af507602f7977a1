import { chmodSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { lineOf } from '../faults/account.ts'
import { type Front, isOfLoad, unsentAmong } from '../faults/front.ts'
import { play, type Run, type Scene, type Stage } from '../faults/play.ts'
import type { LogLine } from '../support/causeway.ts'
import { patience, until } from '../support/until.ts'
import { type Engine, findEngine } from './engine.ts'
import { buildImages, PORT, removeImages, START_MS } from './project.ts'

// The app's container goes and comes, as `docker compose up` does it, under 200 requests a second or what the
// app can do: none is lost, no POST is executed twice.

/**
 * Whole seconds; on a busy machine containers take longer to come, and the load has to last until they have
 * work.
 */
const DURATION_MS = Number(process.env['FAULTS_SECONDS'] ?? Math.ceil(patience(20_000) / 1000)) * 1000
const ROOT = join(import.meta.dirname, '../..')
const DOCKER = join(ROOT, 'docker')
const NAME = 'causeway-test-faults'
const FAILURES_SHOWN = 12
const found = findEngine()
/** The same names that the other tests of images use, so that layers are built once. */
const IMAGES = { FRONT_IMAGE: 'causeway-under-test', DJANGO_IMAGE: 'causeway-under-test-django' }
/**
 * Requests that one container of the app runs at a time, and the most that can go with it when it is stopped.
 */
const SLOTS = 4
/** While a container is away requests wait; on a busy machine it is away for longer. */
const QUEUE = { QUEUE_TIMEOUT: `${Math.ceil(DURATION_MS / 2000)}s`, QUEUE_LENGTH: DURATION_MS / 5 }
/** compose.yaml says where the app is. */
const PLAN = { endpoints: [], slots: SLOTS } as const

/** The compose files with gunicorn, and the app of the fault runs in Django's place. */
class Apps {
  readonly #engine: Engine
  readonly #folder: string
  readonly #journal: string

  /** `folder` gets the compose file that is put on top of ours. */
  constructor(engine: Engine, folder: string, journal: string) {
    this.#engine = engine
    this.#folder = folder
    this.#journal = journal
  }

  /** Everything, with one app. */
  async up(): Promise<void> {
    await this.down()
    await this.#compose(1, 'up', '--detach')
  }

  async down(): Promise<void> {
    await this.#compose(3, 'down', '--volumes')
    await this.#engine.try('network', 'rm', `${NAME}_default`)
  }

  /** Starts what is missing to so many apps, and touches nothing else. */
  async scale(replicas: number): Promise<void> {
    await this.#compose(replicas, 'up', '--detach', '--no-deps', 'app')
  }

  /** Containers of the app, the oldest first. */
  async containers(): Promise<readonly string[]> {
    return containersOf(this.#engine, 'app')
  }

  /** What the app writes into the journal as its name. */
  async hostname(container: string): Promise<string> {
    return this.#engine.inspect(container, '{{.Config.Hostname}}')
  }

  async address(container: string): Promise<string> {
    return this.#engine.inspect(container, '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
  }

  /**
   * Puts a new container in the only one's place: made first, then the old one is stopped and removed, then
   * the new one started. That is how `docker compose` does it; podman-compose, which would stop everything
   * first, is led through the same steps.
   */
  async recreate(run: Run): Promise<void> {
    const [old = ''] = await this.containers()
    if (this.#engine.program === 'docker') {
      const over = run.breaks(await this.hostname(old), true)
      await this.#compose(1, 'up', '--detach', '--no-deps', '--force-recreate', 'app')
      return over()
    }
    await this.#engine.do('rename', old, `${NAME}-old`)
    await this.#compose(1, 'up', '--no-start', '--no-deps', 'app')
    const fresh = (await this.containers()).find(container => container !== old) ?? ''
    await this.remove(old, run)
    await this.#engine.do('start', fresh)
  }

  /** Stops a container in order and removes it. */
  async remove(container: string, run: Run): Promise<void> {
    const over = run.breaks(await this.hostname(container), true)
    await this.#engine.do('stop', container)
    over()
    await this.#engine.do('rm', container)
  }

  async #compose(replicas: number, ...command: readonly string[]): Promise<void> {
    const own = join(this.#folder, `apps-${replicas}.json`)
    writeFileSync(own, JSON.stringify(overlay(replicas, this.#journal)))
    const files = ['compose.yaml', 'compose.gunicorn.yaml'].map(name => join(DOCKER, name))
    const args = [...files, own].flatMap(file => ['-f', file])
    await this.#engine.compose([...args, '-p', NAME, ...command], { ...IMAGES, SECRETS: this.#folder })
  }
}

async function containersOf(engine: Engine, service: string): Promise<readonly string[]> {
  const labels = [`project=${NAME}`, `service=${service}`].flatMap(label => [
    '--filter',
    `label=com.docker.compose.${label}`,
  ])
  const ids = await engine.do('ps', '--all', '--quiet', ...labels)
  return ids.trim().split('\n').filter(Boolean).reverse()
}

/** What differs from the compose files of docker/. JSON is YAML. */
function overlay(replicas: number, journal: string): object {
  const gunicorn = `/usr/bin/python3 -m gunicorn --chdir /faults --bind 0.0.0.0:8000 --workers ${SLOTS}`
  return {
    services: {
      front: { environment: { APP_SLOTS: SLOTS, ...QUEUE } },
      app: {
        command: `${gunicorn} --worker-tmp-dir /tmp app:application`,
        environment: { JOURNAL: `/journal/${journal.split('/').at(-1)}` },
        volumes: [`${join(ROOT, 'test/faults')}:/faults:ro`, `${dirname(journal)}:/journal`],
        deploy: { replicas },
      },
    },
  }
}

/** Starts everything on this journal. */
async function upFor(t: Test, engine: Engine, stage: Stage): Promise<Apps> {
  const { path } = stage.journal
  chmodSync(dirname(path), 0o777) // the app is user 10001 in its container
  chmodSync(path, 0o666)
  const apps = new Apps(engine, t.testdir({ django_secret_key: 'not used' }), path)
  stage.teardown(() => apps.down())
  await apps.up()
  return apps
}

/** The published port of Causeway's container. */
function frontOf(engine: Engine): Front {
  return {
    port: PORT,
    reload: async () => {
      throw new Error('no scene with containers changes the configuration')
    },
    unsent: async sent => {
      const complete = async () => {
        const lines = await logOf(engine)
        return lines.filter(isOfLoad).length === sent ? lines : undefined
      }
      return unsentAmong(await until('the access line of every request', complete))
    },
  }
}

async function logOf(engine: Engine): Promise<readonly LogLine[]> {
  const [front = ''] = await containersOf(engine, 'front')
  const { stdout } = await engine.try('logs', front)
  return stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as LogLine)
}

/** The only container is removed, and one with another address comes in its place. */
function recreated(t: Test, engine: Engine): Scene {
  return {
    name: 'the container of the app is removed and recreated',
    mostInside: SLOTS,
    set: async stage => {
      const apps = await upFor(t, engine, stage)
      let addresses: readonly string[] = []
      return {
        plan: PLAN,
        act: async run => {
          await run.at(0.25)
          const [old = ''] = await apps.containers()
          const before = await apps.address(old)
          await apps.recreate(run)
          const [fresh = ''] = await apps.containers()
          addresses = [before, await apps.address(fresh)]
        },
        happened: () => {
          if (addresses[0] === addresses[1]) throw new Error(`it is at ${addresses[0]} as before`)
        },
      }
    },
  }
}

/** Two more containers come, and go again. */
function scaled(t: Test, engine: Engine): Scene {
  return {
    name: 'the app is scaled from one container to three and back',
    mostInside: 2 * SLOTS,
    set: async stage => {
      const apps = await upFor(t, engine, stage)
      const names: string[] = []
      return {
        plan: PLAN,
        act: async run => {
          await run.at(0.1)
          await apps.scale(3)
          const [, ...more] = await apps.containers()
          for (const container of more) names.push(await apps.hostname(container))
          await until('both new containers to have work', () => names.every(name => run.arrivedAt(name) > 0))
          await run.at(0.6)
          for (const container of more) await apps.remove(container, run)
        },
        happened: () => {
          if (names.length !== 2) throw new Error(`${names.length} containers were added, not two`)
        },
      }
    },
  }
}

async function scenes(engine: Engine): Promise<void> {
  t.teardown(() => removeImages(engine))
  await buildImages(engine)
  for (const make of [recreated, scaled]) {
    await t.test(make(t, engine).name, { timeout: DURATION_MS + 2 * START_MS }, async t => {
      const scene = make(t, engine)
      const kind = { start: async () => frontOf(engine) }
      const { account, startMs, planned } = await play(t, scene, kind, DURATION_MS)
      t.comment(lineOf(account))
      t.equal(account.sent, planned, 'all were sent')
      t.equal(account.lost.length, 0, 'none lost')
      t.equal(account.twice, 0, 'no POST executed twice')
      t.equal(account.unexecuted, 0, 'whatever was answered had been executed')
      t.ok(
        account.insidePosts + account.unreadPosts <= scene.mostInside,
        'no more than an app can hold go with it',
      )
      for (const { id, dueMs, endMs, outcome } of account.lost.slice(0, FAILURES_SHOWN)) {
        t.comment(`lost ${id}: due ${dueMs - startMs}, ended ${endMs - startMs} ms: ${outcome}`)
      }
    })
  }
}

if ('missing' in found) t.test('containers that go and come', { skip: found.missing }, async () => {})
else await scenes(found.engine)
