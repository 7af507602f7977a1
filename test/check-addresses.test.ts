import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePorts } from './bench/ports.ts'
import { startCauseway } from './support/causeway.ts'
import { type Ran, runCommand } from './support/command.ts'

// What a start would find out when it listens is found by `check` before, also while the very same
// configuration runs.

/** TEST-NET-1 (RFC 5737): no machine has it. */
const FOREIGN = '192.0.2.1'

const site = (listener: string, admin = '127.0.0.1:0') => `[admin]
address = "${admin}"
[listeners.web]
address = "${listener}"
[routes.site]
path = "/"
static = { root = "/" }
`

/** Both commands on one configuration. The second ends by itself only where it does not start. */
async function checked(t: Test, text: string): Promise<Ran & { readonly file: string }> {
  const file = join(t.testdir({ 'a.toml': text }), 'a.toml')
  return { ...(await runCommand(['check', '--config', file])), file }
}

async function occupied(t: Test, at: string | number): Promise<void> {
  const server = createServer((_, answer) => answer.end('somebody else'))
  if (typeof at === 'number') server.listen(at, '127.0.0.1')
  else server.listen(at)
  await once(server, 'listening')
  t.teardown(() => server.close())
}

t.test('an address of another machine is an error, in the words of a start', async t => {
  for (const text of [
    site(`${FOREIGN}:8080`),
    site(`${FOREIGN}:0`),
    site('127.0.0.1:0', `${FOREIGN}:8080`),
  ]) {
    const token = '[admin]\ntoken = "0123456789abcdef"'
    const ran = await checked(t, text.replace('[admin]', token))
    t.equal(ran.code, 78)
    t.match(ran.stderr, /a\.toml:\d+:\d+: error: 192\.0\.2\.1:\d+ is not an address of this machine\n/)
    t.equal(ran.stdout, '', 'nothing is fine')
    const { code, stderr } = await runCommand(['run', '--config', ran.file])
    t.equal(code, 1)
    t.match(stderr, /192\.0\.2\.1:\d+ is not an address of this machine\n/)
  }
})

t.test('an address in use is a warning: it may be free when it counts', async t => {
  const [listener = 0, admin = 0] = await freePorts(2)
  await occupied(t, listener)
  await occupied(t, admin)
  const ran = await checked(t, site(`0.0.0.0:${listener}`, `127.0.0.1:${admin}`))
  t.equal(ran.code, 0)
  t.match(ran.stderr, `a.toml:2:11: warning: 127.0.0.1:${admin} is already in use`)
  t.match(ran.stderr, `a.toml:4:11: warning: 0.0.0.0:${listener} is already in use`)
  t.match(ran.stderr, /\n2 warnings\n$/)
  const { stdout } = await runCommand(['check', '--json', '--config', ran.file])
  t.match(JSON.parse(stdout), { ok: true, problems: [{ severity: 'warning' }, { severity: 'warning' }] })
})

t.test('a socket that is served is in use, one that was left behind is not, and both stay', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [served, left] = [join(folder, 'served'), join(folder, 'left')]
  await occupied(t, served)
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  t.ok(existsSync(left))
  t.match((await checked(t, site(`unix:${served}`))).stderr, /1 warning\n$/)
  t.equal((await checked(t, site(`unix:${left}`))).stderr, '')
  t.ok(existsSync(served) && existsSync(left))
})

t.test('what the running process itself listens on is no news', async t => {
  const [web = 0, admin = 0, other = 0] = await freePorts(3)
  const config = site(`127.0.0.1:${web}`, `127.0.0.1:${admin}`)
  const running = await startCauseway(t, { config: `[server]\nworkers = 1\n${config}` })
  const check = () => runCommand(['check', '--config', running.configFolder])
  t.match(await check(), { code: 0, stderr: '' })
  await occupied(t, other)
  const more = `[listeners.more]\naddress = "127.0.0.1:${other}"\n`
  writeFileSync(join(running.configFolder, 'more.toml'), more)
  t.match(await check(), {
    code: 0,
    stderr: /more\.toml:2:11: warning: \S+ is already in use[\s\S]*\n1 warning\n$/,
  })
  t.equal(await running.stop(), 0)
})

const firstFree = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1'))
/** As root without the capability to listen there, or as a user who has none. */
const unprivileged = process.geteuid?.() === 0 ? ['setpriv', '--bounding-set=-net_bind_service'] : []
const cannotDrop = process.geteuid?.() === 0 && spawnSync('setpriv', ['--version']).error !== undefined
const skip = firstFree < 2 || cannotDrop ? 'every user may listen on every port here' : false

t.test('a port that this user may not listen on is an error', { skip }, async t => {
  const file = join(t.testdir({ 'a.toml': site('127.0.0.1:1') }), 'a.toml')
  const [program = '', ...args] = [
    ...unprivileged,
    process.execPath,
    'cmd/causeway.ts',
    'check',
    '--config',
    file,
  ]
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  t.match(
    stderr,
    /a\.toml:4:11: error: no permission to listen on 127\.0\.0\.1:1: ports below 1024 need root or CAP_NET_BIND_SERVICE/,
  )
  t.equal(status, 78)
})
