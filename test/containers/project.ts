import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from '../support/until.ts'
import type { Engine } from './engine.ts'

/** The port that compose.yaml publishes. */
export const PORT = 1337
/** A machine that builds, starts and migrates at once is slow. */
export const START_MS = 120_000
/** Names that no user has, so that what is removed at the end is ours. */
export const FRONT_IMAGE = 'causeway-under-test'
const DJANGO_IMAGE = 'causeway-under-test-django'
const FOLDER = join(import.meta.dirname, '../../docker')
const ROOT = join(FOLDER, '..')

/** The images of both Dockerfiles, as they lie there. */
export async function buildImages(engine: Engine): Promise<void> {
  await buildFront(engine)
  await engine.build(DJANGO_IMAGE, join(FOLDER, 'django/Dockerfile'), join(FOLDER, 'django'))
}

/** The image of Causeway. */
export async function buildFront(engine: Engine): Promise<void> {
  await engine.build(FRONT_IMAGE, join(FOLDER, 'Dockerfile'), ROOT)
}

/** Removes the images of both. */
export async function removeImages(engine: Engine): Promise<void> {
  for (const image of [FRONT_IMAGE, DJANGO_IMAGE]) await engine.try('rmi', image)
}

/** One set of compose files, running under a name of its own. */
export class Project {
  readonly #engine: Engine
  readonly #name: string
  readonly #files: readonly string[]
  readonly #env: Readonly<Record<string, string>>

  private constructor(engine: Engine, variant: string, env: Readonly<Record<string, string>>) {
    this.#engine = engine
    this.#name = `causeway-test-${variant || 'base'}`
    const files = ['compose.yaml', ...(variant === '' ? [] : [`compose.${variant}.yaml`])]
    this.#files = files.flatMap(file => ['-f', join(FOLDER, file)])
    this.#env = { ...env, FRONT_IMAGE, DJANGO_IMAGE }
  }

  /**
   * `''` is compose.yaml alone; `env` sets what the files leave open. Ends with the test, volumes and all.
   */
  static async up(
    t: Test,
    engine: Engine,
    variant: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Project> {
    const secrets = t.testdir({ django_secret_key: randomBytes(40).toString('hex') })
    const project = new Project(engine, variant, { SECRETS: secrets, ...env })
    await project.#remove() // what a broken run has left
    t.teardown(() => project.#remove())
    await project.#compose('up', '--detach')
    await until('both services that end to have ended', () => project.#isSetUp(), START_MS)
    return project
  }

  /** The container of a service. */
  async container(service: string): Promise<string> {
    const labels = [`project=${this.#name}`, `service=${service}`].flatMap(label => [
      '--filter',
      `label=com.docker.compose.${label}`,
    ])
    const [id = ''] = (await this.#engine.do('ps', '--all', '--quiet', ...labels)).trim().split('\n')
    if (id === '') throw new Error(`${this.#name} has no container of ${service}`)
    return id
  }

  async logs(service: string): Promise<string> {
    const { stdout, stderr } = await this.#engine.try('logs', await this.container(service))
    return stdout + stderr
  }

  /**
   * Django's manage.py beside the running app: same image, volumes and environment, and more of the latter.
   */
  async manage(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
    const app = await this.container('app')
    const own = JSON.parse(await this.#engine.inspect(app, '{{json .Config.Env}}')) as string[]
    const all = [...own, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)]
    const settings = all.flatMap(setting => ['--env', setting])
    const command = ['/usr/bin/python3', 'manage.py', ...args]
    return this.#engine.do('run', '--rm', '--volumes-from', app, ...settings, DJANGO_IMAGE, ...command)
  }

  /**
   * Puts a new container in a service's place; it gets another address, because the old one is taken
   * meanwhile.
   */
  async replace(service: string): Promise<void> {
    const guest = `${this.#name}-guest`
    await this.#engine.do('rm', '--force', await this.container(service))
    await this.#engine.do('run', '--detach', '--name', guest, '--network', this.#network, FRONT_IMAGE)
    try {
      await this.#compose('up', '--detach')
    } finally {
      await this.#engine.do('rm', '--force', guest)
    }
  }

  get #network(): string {
    return `${this.#name}_default`
  }

  async #isSetUp(): Promise<boolean> {
    for (const service of ['migrate', 'collectstatic']) {
      const state = await this.#engine.inspect(
        await this.container(service),
        '{{.State.Status}} {{.State.ExitCode}}',
      )
      if (/^exited [1-9]/.test(state)) throw new Error(`${service}: ${state}\n${await this.logs(service)}`)
      if (state !== 'exited 0') return false
    }
    return true
  }

  async #remove(): Promise<void> {
    await this.#compose('down', '--volumes')
    // podman-compose leaves it.
    await this.#engine.try('network', 'rm', this.#network)
  }

  async #compose(...command: readonly string[]): Promise<string> {
    return this.#engine.compose([...this.#files, '-p', this.#name, ...command], this.#env)
  }
}
