import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { until } from '../support/until.ts'
import { type AppServer, ask, missing, startAsgi, startDjango } from './support.ts'

const skip = missing('django', 'gunicorn', 'uvicorn')

/** Clients that ask one question after the other until they are stopped. */
class Traffic {
  readonly #agent = new Agent({ keepAlive: true })
  readonly #lanes: Promise<void>[]
  /** What went wrong, in words. */
  readonly failures: string[] = []
  /** Bodies by how often they came. */
  readonly answers = new Map<string, number>()
  #stopped = false

  constructor(port: number, path: string, lanes: number) {
    this.#lanes = Array.from({ length: lanes }, () => this.#run(port, path))
  }

  get count(): number {
    return [...this.answers.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Resolves after so many further answers. */
  async more(count: number): Promise<void> {
    const wanted = this.count + count
    await until(`${count} more answers`, () => this.count >= wanted || this.failures.length > 20)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#lanes)
    this.#agent.destroy()
  }

  async #run(port: number, path: string): Promise<void> {
    while (!this.#stopped) {
      try {
        const answer = await ask(port, { path, agent: this.#agent })
        if (answer.status === 200) this.answers.set(answer.text, (this.answers.get(answer.text) ?? 0) + 1)
        else this.failures.push(`status ${answer.status}`)
      } catch (error) {
        this.failures.push(String(error))
      }
    }
  }
}

async function through(t: Test, apps: readonly AppServer[], upstream = ''): Promise<Running> {
  return startCauseway(t, { config: configText({ endpoints: apps.map(app => app.port), upstream }) })
}

t.test('a gunicorn worker killed in mid-traffic takes only its own request along', { skip }, async t => {
  const folder = t.testdir()
  const app = await startDjango(t, ['--workers', '3'], { HOLD_FOLDER: folder })
  const causeway = await through(t, [app])
  const traffic = new Traffic(causeway.port(), '/pid/', 6)
  for (let round = 0; round < 2; round += 1) {
    const token = randomUUID()
    const held = ask(causeway.port(), { path: `/hold/${token}/`, method: 'POST' })
    const file = join(folder, token)
    await until('a worker to hold the request', () => existsSync(file))
    const victim = Number(readFileSync(file, 'utf8'))
    t.ok(app.workers.includes(victim))
    await traffic.more(20)
    process.kill(victim, 'SIGKILL')
    t.match(await held, { status: 502 }, 'a POST that was being executed is not repeated')
    rmSync(file)
    await traffic.more(50)
    t.notOk(traffic.answers.has(''), 'every answer has a body')
  }
  const before = new Set(traffic.answers.keys())
  await until('the new workers to serve', () => traffic.answers.size >= 4 || traffic.failures.length > 0)
  await traffic.stop()
  t.ok(before.size >= 1)
  t.same(traffic.failures, [], 'every other request was answered')
  const ends = () => causeway.access.filter(line => line['status'] === 502).map(line => line['end'])
  await until('their access lines', () => ends().length === 2)
  t.same(ends(), ['upstream_closed', 'upstream_closed'])
})

t.test('a worker killed at any moment costs at most the request that it was executing', { skip }, async t => {
  const app = await startDjango(t, ['--workers', '3'])
  const causeway = await through(t, [app])
  const traffic = new Traffic(causeway.port(), '/pid/', 6)
  await traffic.more(50)
  const kills = 3
  for (let i = 0; i < kills; i += 1) {
    const booted = app.workers.length
    process.kill(app.workers.at(-1) as number, 'SIGKILL')
    await until('gunicorn to start another', () => app.workers.length > booted)
    await traffic.more(30)
  }
  await traffic.stop()
  t.ok(
    traffic.failures.length <= kills,
    `${kills} kills, ${traffic.failures.length} failed: ${traffic.failures}`,
  )
  t.ok(traffic.count >= 140)
})

t.test('one of three endpoints killed: no GET fails, and the others take over', { skip }, async t => {
  const apps = [await startAsgi(t), await startAsgi(t), await startAsgi(t)]
  const causeway = await through(t, apps)
  const traffic = new Traffic(causeway.port(), '/pid/', 6)
  await traffic.more(200)
  t.equal(traffic.answers.size, 3, 'all three serve')
  const [victim] = apps as [AppServer]
  await victim.kill()
  const answered = traffic.answers.get(String(victim.pid))
  await traffic.more(300)
  await traffic.stop()
  t.same(traffic.failures, [])
  t.equal(traffic.answers.get(String(victim.pid)), answered, 'the dead one answers no more')
})
