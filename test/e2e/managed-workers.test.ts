import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { isRunning } from '../support/process-state.ts'
import { ask, get, post, RawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'

/** An app that says who it is, dies when it is told to, and leaves a word on stdout. */
const APP = `
const { createServer } = require('node:http')
const { PORT, SOCKET } = process.env
console.log('app listens on ' + (PORT ?? SOCKET))
createServer((request, response) => {
  if (request.url === '/die') process.kill(process.pid, 'SIGKILL')
  response.end(String(process.pid))
}).listen(SOCKET ?? { port: Number(PORT), host: '127.0.0.1' })
process.on('SIGTERM', () => process.exit(0))
`

const config = (command: readonly string[]) => `
[server]
workers = 1
drain = "1s"
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
[upstreams.app]
balance = "round-robin"
run = { command = ${JSON.stringify(command)}, count = 2 }
health = { path = "/", interval = "100ms", timeout = "2s", rise = 1, fall = 2 }
queue = { length = 100, timeout = "20s" }
[routes.app]
path = "/"
upstream = "app"
`

for (const [handed, command] of [
  ['a port', [process.execPath, '-e', APP]],
  ['a socket', [process.execPath, '-e', APP, '{socket}']],
] as const) {
  t.test(`workers that are handed ${handed} are started, restarted and stopped`, async t => {
    const causeway = await startCauseway(t, { config: config(command) })
    await causeway.metric('causeway_upstream_server_up', {}, value => value === 2)
    const pids = async () => {
      const found = new Set<number>()
      for (let n = 0; n < 8; n += 1) found.add(Number((await ask(causeway.port(), get('/pid'))).body))
      return found
    }
    const first = await pids()
    t.equal(first.size, 2, 'they take turns')
    const client = await RawClient.connect(causeway.port())
    client.send(post('/die', ''))
    t.equal((await client.response('POST')).status, 502)
    t.equal((await ask(causeway.port(), get('/pid'))).status, 200, 'the other one serves')
    const second = await until('a worker to take the place of the dead one', async () => {
      const now = await pids()
      return now.size === 2 && [...now].some(pid => !first.has(pid)) ? now : undefined
    })
    t.equal([...second].filter(pid => first.has(pid)).length, 1, 'the one that lived lives on')
    client.destroy()
    t.match(causeway.stdout, 'app listens on', 'their words are in the log')
    await assertClean(t, causeway)
    for (const pid of [...first, ...second]) t.notOk(await lives(pid), `worker ${pid} has gone, too`)
  })
}

t.test('a command that cannot run is told, and ends nothing', async t => {
  const causeway = await startCauseway(t, { config: config(['/nonexistent/app', '{port}']) })
  await causeway.line('the worker that failed', line => JSON.stringify(line).includes('/nonexistent/app'))
  t.equal(causeway.exited, false)
  await assertClean(t, causeway)
})

t.test(
  'workers inherit the environment, but nothing that only the rest of the configuration names',
  async t => {
    const tell = `require('node:http').createServer((request, response) => response.end(JSON.stringify(process.env))).listen(process.env.PORT, '127.0.0.1')`
    const text = config([process.execPath, '-e', tell])
      .replace('count = 2 }', `count = 1, env = { APP_KEY = "$\{APP_SECRET}" } }`)
      .replace(
        'path = "/", interval',
        `path = "/$\{BOTH}", headers = { X-Key = "$\{PROBE_KEY}", X-Home = "$\{HOME}" }, interval`,
      )
      .replace('APP_KEY =', `BOTH = "$\{BOTH}", APP_KEY =`)
    const given = {
      APP_SECRET: 'a',
      PROBE_KEY: 'p',
      BOTH: 'b',
      DATABASE_URL: 'd',
      HOME: '/',
      NODE_COMPILE_CACHE: '/tmp/none',
    }
    const causeway = await startCauseway(t, { config: text, env: { ...given, CAUSEWAY_CONFIG: 'elsewhere' } })
    const env = JSON.parse((await ask(causeway.port(), get('/'))).body.toString()) as Record<string, string>
    t.match(env, {
      APP_KEY: 'a',
      APP_SECRET: 'a',
      BOTH: 'b',
      DATABASE_URL: 'd',
      HOME: '/',
      CAUSEWAY_WORKER: 'worker-1',
    })
    for (const name of ['PROBE_KEY', 'NODE_COMPILE_CACHE', 'CAUSEWAY_CONFIG']) t.notOk(name in env, name)
    await assertClean(t, causeway)
  },
)

t.test('a Causeway that is killed leaves no worker behind, not even one that ignores SIGTERM', async t => {
  const stubborn = APP.replace(
    "process.on('SIGTERM', () => process.exit(0))",
    "process.on('SIGTERM', () => {})",
  )
  const causeway = await startCauseway(t, { config: config([process.execPath, '-e', stubborn]) })
  await causeway.metric('causeway_upstream_server_up', {}, value => value === 2)
  const pids = new Set<number>()
  await until(
    'both workers',
    async () => pids.add(Number((await ask(causeway.port(), get('/pid'))).body)).size === 2,
  )
  causeway.signal('SIGKILL')
  t.equal(await causeway.exitCode(), 'SIGKILL')
  for (const pid of pids) await until(`worker ${pid} to end`, () => !isRunning(pid), 30_000)
})

t.test('of a flood of words each line is in the log or counted, and traffic goes on', async t => {
  const LINES = 300_000
  const flood = `require('node:fs').writeSync(2, ${JSON.stringify('x\n')}.repeat(${LINES})); ${APP}`
  const causeway = await startCauseway(t, { config: config([process.execPath, '-e', flood]) })
  await causeway.metric('causeway_upstream_server_up', {}, value => value === 2)
  t.equal((await ask(causeway.port(), get('/pid'))).status, 200)
  const logged = () =>
    causeway.lines.filter(({ msg, line }) => msg === 'worker output' && line === 'x').length
  const dropped = async () =>
    (await causeway.metrics()).sum('causeway_log_lines_dropped_total', { log: 'app' })
  await until('every line to be accounted for', async () => logged() + (await dropped()) >= 2 * LINES)
  t.ok(logged() < LINES, `${logged()} lines in the log`)
  const told = await causeway.line(
    'the flood',
    ({ msg }) => msg === 'worker output is a flood: lines dropped',
  )
  t.match(told, { level: 'warn', upstream: 'app', endpoint: /^worker-/, lines: Number })
  const status = (await (await fetch(`${causeway.adminUrl}/status`)).json()) as { log_problems: string[] }
  const problem = status.log_problems.find(text => text.startsWith('workers produce excessive output'))
  t.match(problem, /; \d+ lines lost so far$/)
  await assertClean(t, causeway)
})

async function lives(pid: number): Promise<boolean> {
  for (let n = 0; n < 50; n += 1) {
    try {
      process.kill(pid, 0)
    } catch {
      return false
    }
    await pause(20)
  }
  return true
}
