import { execFile } from 'node:child_process'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { answerLoad, Load } from '../support/load.ts'
import { ask, get } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const run = promisify(execFile)

function configFor(file: string): string {
  return `
[server]
workers = 2
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
[upstreams.app]
endpoints_file = "${file}"
[routes.app]
path = "/"
upstream = "app"
`
}

async function startApps(t: Test): Promise<[RecordingUpstream, RecordingUpstream]> {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)] as const
  for (const app of apps) answerLoad(app)
  return [...apps]
}

/** As tools do that keep such files. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

t.test('a file of endpoints is followed under load, and no request fails', async t => {
  const [one, two] = await startApps(t)
  const file = join(t.testdir({ endpoints: `127.0.0.1:${one.port}\n` }), 'endpoints')
  const causeway = await startCauseway(t, { config: configFor(file) })
  const load = new Load(causeway.port())
  await load.add(4)
  await until('traffic', () => one.requests.length > 20)
  replace(file, `127.0.0.1:${two.port} weight=2\n`)
  await until('the other one', () => two.requests.length > 20)
  await until('the first to be left', () => one.open === 0)
  replace(file, `127.0.0.1:${one.port}\n127.0.0.1:${two.port} wieght=2\n`)
  const { problem } = await causeway.line('the mistake', ({ msg }) => msg === 'endpoints file not taken')
  t.equal(problem, `${file}:2: "wieght=2": expected "weight=2" or "backup" after the address`)
  const before = two.requests.length
  await until('traffic as before', () => two.requests.length > before + 20)
  rmSync(file)
  replace(file, `127.0.0.1:${one.port}\nlocalhost:${two.port} backup\n`)
  await until('the first again', () => one.requests.length > 60)
  await load.stop()
  t.same(load.wrong, [])
  t.equal(load.lost, 0)
  t.equal(load.answered, load.sent)
  t.equal((await causeway.metrics()).sum('causeway_config_generation'), 2)
  await assertClean(t, causeway, [one, two])
})

t.test('a file that is not there yet: requests wait for it, and `check` says so', async t => {
  const [app] = await startApps(t)
  const folder = t.testdir({ 'causeway.toml': '' })
  const file = join(folder, 'endpoints')
  const config = configFor(file)
  writeFileSync(join(folder, 'causeway.toml'), config)
  const check = async () => {
    const args = ['cmd/causeway.ts', 'check', '--config', join(folder, 'causeway.toml')]
    return (await run(process.execPath, args)).stderr
  }
  t.match(await check(), /causeway\.toml:9:\d+: warning: the file \S+endpoints cannot be read/)
  const causeway = await startCauseway(t, { config })
  const answer = ask(causeway.port(), get('/held'))
  await causeway.metric('causeway_upstream_queue_depth', {}, depth => depth === 1)
  replace(file, '127.0.0.1\n')
  t.match(await check(), /endpoints:1: "127\.0\.0\.1": the address has no port/)
  await causeway.line('the mistake', ({ problem }) => String(problem).includes('no port'))
  replace(file, `127.0.0.1:${app.port}\n`)
  t.equal((await answer).status, 200)
  t.equal(await check(), '')
  await assertClean(t, causeway, [app])
})

t.test('the endpoints of a file and of the configuration stand together, each address once', async t => {
  const [one, two] = await startApps(t)
  const file = join(t.testdir({ endpoints: `127.0.0.1:${one.port}\n127.0.0.1:${two.port}\n` }), 'endpoints')
  const config = configFor(file).replace(
    'endpoints_file',
    `endpoints = ["http://127.0.0.1:${one.port}"]\nendpoints_file`,
  )
  const causeway = await startCauseway(t, { config })
  const { upstreams } = (await (await fetch(`${causeway.adminUrl}/status`)).json()) as {
    upstreams: { endpoints: { name: string }[] }[]
  }
  t.same(
    upstreams[0]?.endpoints.map(({ name }) => name),
    [`http://127.0.0.1:${one.port}`, `127.0.0.1:${two.port}`],
  )
  t.equal(await causeway.reload(config.replace(/^endpoints_file.*$/m, '')), 'success')
  for (let i = 0; i < 5; i += 1) t.equal((await ask(causeway.port(), get('/x'))).status, 200)
  t.equal(two.requests.length, 0)
  await assertClean(t, causeway, [one, two])
})
