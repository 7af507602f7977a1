import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemThreadCount } from '../cmd/system-threads.ts'
import { bindErrorText } from '../lib/server/shared/address-claim.ts'
import { boundCommand } from './support/bound-command.ts'
import { runCommand } from './support/command.ts'
import { childrenOf, isRunning } from './support/process-state.ts'
import { until, within } from './support/until.ts'

const causeway = (...args: string[]) => runCommand(args)

/** Makes a newer Node.js say that it is an older one. */
const OLDER =
  "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.0' } })"

const IN_USE = 'is already in use: stop the process that listens there, or choose another address'

const COMMANDS = [
  'run',
  'check',
  'explain',
  'status',
  'reload',
  'drain',
  'ready',
  'deploy',
  'healthcheck',
  'doctor',
  'simulate',
  'schema',
  'version',
]

const site = (listener: string, admin = '127.0.0.1:0') => `
[server]
workers = 1
[admin]
address = "${admin}"
[listeners.web]
address = "${listener}"
[routes.site]
path = "/"
static = { root = "/" }
`

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code })
}

/** A port that answers nobody. */
async function takenPort(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer(socket => socket.destroy())
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const bound = server.address()
  return { port: bound !== null && typeof bound === 'object' ? bound.port : 0, close: () => server.close() }
}

t.test('help names every command, and every command helps with an example', async t => {
  const help = await causeway('--help')
  t.equal(help.code, 0)
  for (const name of COMMANDS) t.match(help.stdout, new RegExp(`^  ${name} `, 'm'))
  for (const name of COMMANDS) {
    const own = await causeway(name, '--help')
    t.equal(own.code, 0, name)
    t.match(own.stdout, new RegExp(`Usage: causeway ${name}[^]*Example: causeway ${name}`))
  }
})

t.test('bad usage is exit code 2 and says what would be right', async t => {
  for (const [args, message] of [
    [[], /no command given/],
    [['relaod'], /unknown command "relaod": did you mean "reload"\?/],
    [['constructor'], /unknown command "constructor"/],
    [['run', '--confg', 'x'], /Unknown option '--confg': did you mean "--config"\?/],
    [['-x'], /unknown option "-x"/],
    [['run', 'conf.d'], /Unexpected argument 'conf.d': pass the configuration with --config/],
    [['run', '--json'], /Unknown option '--json'/],
    [['check', '--config'], /--config/],
    [['explain'], /expected arguments: \[METHOD\] URL/],
    [['explain', 'GET', 'www.example.com'], /expected a method and a URL/],
    [['drain'], /expected arguments: UPSTREAM \[ENDPOINT\]/],
  ] as const) {
    const ran = await causeway(...args)
    t.equal(ran.code, 2, args.join(' '))
    t.match(ran.stderr, message)
    t.equal(ran.stdout, '')
  }
})

t.test('a bad configuration is exit code 78, all mistakes told, nothing started', async t => {
  const folder = t.testdir({
    'a.toml': '[listeners.web]\naddres = "127.0.0.1:0"\n[routes.x]\npath = "/"\nupstream = "none"\n',
    'admin.toml': '[admin]\naddress = "127.0.0.1:0"\n',
  })
  for (const command of ['run', 'check', 'status', 'reload', 'healthcheck']) {
    const ran = await causeway(command, '--config', folder)
    t.equal(ran.code, 78, command)
    t.match(ran.stderr, /a\.toml:2:1/)
    t.match(ran.stderr, /a\.toml:5:/)
    t.equal(ran.stdout, '')
  }
})

t.test('explain follows a request through the configuration, in words and for programs', async t => {
  const folder = t.testdir({ 'a.toml': site('127.0.0.1:8080') })
  const words = await causeway('explain', 'https://www.example.com/srv/a.css', '-c', folder)
  t.equal(words.code, 0)
  t.match(words.stdout, /^listener web at 127\.0\.0\.1:8080, if port 443 is forwarded there$/m)
  t.match(words.stdout, /^file \/srv\/a\.css$/m)
  const { code, stdout } = await causeway('explain', 'POST', '/', '-c', folder, '--json')
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { route: 'site', others: [] })
  t.match(stdout, /405/)
})

t.test('a listener whose address is taken: exit code 1, named with its address', async t => {
  const taken = await takenPort()
  t.teardown(() => taken.close())
  const folder = t.testdir({ 'a.toml': site(`127.0.0.1:${taken.port}`) })
  const ran = await causeway('run', '-c', folder)
  t.equal(ran.code, 1)
  t.equal(ran.stderr, `causeway: listener "web": 127.0.0.1:${taken.port} ${IN_USE}\n`)
  t.equal(ran.stdout, '', 'what never started has not stopped')
})

t.test('a port that needs root says so', async t => {
  const ran = bindErrorText({ kind: 'tcp', host: '0.0.0.0', port: 80 }, systemError('EACCES'))
  t.equal(ran, 'no permission to listen on 0.0.0.0:80: ports below 1024 need root or CAP_NET_BIND_SERVICE')
})

t.test(
  'a socket or log file in a folder that is not there: exit code 1, and the folder is named',
  async t => {
    const path = '/nonexistent' // short: a socket's path holds 107 bytes
    for (const [config, message] of [
      [site(`unix:${path}/web.sock`), `listener "web": the folder of unix:${path}/web.sock does not exist`],
      [site('127.0.0.1:0', `unix:${path}/a.sock`), `admin: the folder of unix:${path}/a.sock does not exist`],
      [
        `${site('127.0.0.1:0')}\n[log]\naccess = "${path}/access.log"\n`,
        `log.access: the folder of ${path}/access.log does not exist`,
      ],
    ] as const) {
      const folder = t.testdir({ 'a.toml': config })
      const ran = await causeway('run', '-c', folder)
      t.equal(ran.code, 1)
      t.equal(ran.stderr, `causeway: ${message}: create it first\n`)
    }
  },
)

t.test('an admin address that is taken: the same', async t => {
  const taken = await takenPort()
  t.teardown(() => taken.close())
  const folder = t.testdir({ 'a.toml': site('127.0.0.1:0', `127.0.0.1:${taken.port}`) })
  const ran = await causeway('run', '-c', folder)
  t.equal(ran.code, 1)
  t.equal(ran.stderr, `causeway: admin: 127.0.0.1:${taken.port} ${IN_USE}\n`)
})

t.test('an admin address where something else answers is not mistaken for causeway', async t => {
  const server = createHttpServer((_request, response) => response.writeHead(404).end('<html>'))
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const folder = t.testdir({ 'a.toml': site('127.0.0.1:0', `127.0.0.1:${port}`) })
  for (const command of ['status', 'reload', 'healthcheck']) {
    const ran = await causeway(command, '-c', folder)
    t.equal(ran.code, 1, command)
    t.match(ran.stderr, /^the server at the admin address \(status 404\) does not seem to be causeway$/m)
    t.equal(ran.stdout, '')
  }
})

t.test('commands that ask a process say where nobody answered: exit code 1', async t => {
  const free = await takenPort()
  free.close()
  const folder = t.testdir({ 'a.toml': site('127.0.0.1:0', `127.0.0.1:${free.port}`) })
  for (const command of ['status', 'reload', 'healthcheck']) {
    const ran = await causeway(command, '-c', folder)
    t.equal(ran.code, 1, command)
    t.match(ran.stderr, `no response from 127.0.0.1:${free.port}`)
    t.match(ran.stderr, 'is causeway running?')
  }
})

t.test('a running process stays within reach while its files hold a bad configuration', async t => {
  const free = await takenPort()
  free.close()
  const good = site('127.0.0.1:0', `127.0.0.1:${free.port}`)
  const folder = t.testdir({ 'a.toml': good })
  const running = spawn(...boundCommand(process.execPath, ['cmd/causeway.ts', 'run', '-c', folder]))
  t.teardown(() => running.kill('SIGKILL'))
  const ended = once(running, 'exit')
  await once(running.stdout, 'data')
  writeFileSync(join(folder, 'a.toml'), `${good}pth = "/"\n`)
  const ready = await causeway('healthcheck', '-c', folder)
  t.equal(ready.code, 0)
  const status = await causeway('status', '-c', folder)
  t.equal(status.code, 0)
  t.match(status.stdout, /^all is well\n/)
  const refused = await causeway('reload', '-c', folder)
  t.equal(refused.code, 78)
  t.match(refused.stdout, /^rejected: generation 1 stays in use.*a\.toml:\d+:1: error: unknown key "pth"/s)
  t.match((await causeway('status', '-c', folder)).stdout, /^the newest configuration was rejected/)
  running.kill('SIGTERM')
  t.same(await ended, [0, null])
})

const linux = process.platform === 'linux' ? false : 'only Linux tells the names of threads'

t.test('threads for disk, DNS and compression grow with the machine', { skip: linux }, async t => {
  t.same([1, 2, 8, 64].map(systemThreadCount), [8, 12, 36, 128])
  const folder = t.testdir({ 'a.toml': site('127.0.0.1:0') })
  for (const [env, expected] of [
    [{}, systemThreadCount(availableParallelism())],
    [{ UV_THREADPOOL_SIZE: '5' }, 5],
  ] as const) {
    const { UV_THREADPOOL_SIZE: _, ...rest } = process.env
    const running = spawn(...boundCommand(process.execPath, ['cmd/causeway.ts', 'run', '-c', folder]), {
      env: { ...rest, ...env },
    })
    t.teardown(() => running.kill('SIGKILL'))
    await once(running.stdout, 'data')
    const task = `/proc/${running.pid}/task`
    const names = readdirSync(task).map(id => readFileSync(join(task, id, 'comm'), 'latin1').trim())
    t.equal(names.filter(name => name === 'libuv-worker').length, expected)
    running.kill('SIGTERM')
    await once(running, 'exit')
  }
})

t.test('mistakes are counted at the end', async t => {
  const folder = t.testdir({
    'a.toml':
      '[listeners.web]\naddres = "127.0.0.1:0"\n[routes.x]\npath = "/"\nupstream = "none"\nhsts = 1\nredirect_https = true\n',
  })
  const errors = await causeway('check', '--config', folder)
  t.equal(errors.stderr.split('\n').at(-2), '3 errors')
  const admin = '[admin]\naddress = "127.0.0.1:0"\n'
  const warned = t.testdir({ 'a.toml': `${admin}[listeners.web]\naddress = "127.0.0.1:0"\n` })
  t.match((await causeway('check', '--config', warned)).stderr, /\n1 warning\n$/)
})

t.test('what fails is JSON for those who ask for it', async t => {
  const folder = t.testdir({
    'a.toml':
      '[listeners.web]\naddress = "127.0.0.1:0"\n[admin]\naddress = "unix:/nonexistent/causeway-admin.sock"\n',
  })
  for (const command of ['status', 'reload', 'healthcheck']) {
    const { code, stdout, stderr } = await causeway(command, '--json', '--config', folder)
    t.equal(code, 1, command)
    t.match(JSON.parse(stdout), { error: /^no response from unix:.*is causeway running\?/ })
    t.equal(stderr, '')
  }
})

t.test('version and schema print what programs can read', async t => {
  const version = await causeway('version', '--json')
  t.match(JSON.parse(version.stdout), { version: /^\d+\.\d+\.\d+/, node: process.version })
  for (const option of ['-v', '-V', '--version'])
    t.match((await causeway(option)).stdout, /^causeway \d+\.\d+\.\d+ /, option)
  const schema = await causeway('schema')
  t.equal(schema.code, 0)
  t.type(JSON.parse(schema.stdout), 'object')
})

t.test('CAUSEWAY_CONFIG names the configuration of every command that is not told another', async t => {
  const folder = t.testdir({ 'good.toml': site('127.0.0.1:0'), 'bad.toml': '[sever]\n' })
  const check = (env: Record<string, string>, ...args: string[]) => runCommand(['check', ...args], { env })
  t.equal((await check({ CAUSEWAY_CONFIG: join(folder, 'good.toml') })).code, 0)
  const bad = { CAUSEWAY_CONFIG: join(folder, 'bad.toml') }
  t.match(await check(bad), { code: 78, stderr: /bad\.toml:1/ })
  t.equal((await check(bad, '--config', join(folder, 'good.toml'))).code, 0, 'an option counts before it')
  t.match(await runCommand(['doctor', 'http://127.0.0.1:1/'], { env: bad }), {
    code: 78,
    stderr: /bad\.toml:1/,
  })
  t.equal((await check({ CAUSEWAY_CONFIG: '' })).code, 0, 'an empty one is none: conf.d')
})

t.test('an older Node.js gets a sentence, not a SyntaxError', async t => {
  const older = join(t.testdir({ 'older.cjs': OLDER }), 'older.cjs')
  const ran = await runCommand(['version'], { env: { NODE_OPTIONS: `--require=${older}` } })
  t.match(ran, {
    code: 1,
    stdout: '',
    stderr: /^causeway: this is Node\.js 20\.19\.0, and Causeway needs version 24 or newer/,
  })
  const source = readFileSync('cmd/causeway.ts', 'utf8')
  t.notMatch(source, /^import \{/m, 'a name that an older Node lacks would be a SyntaxError')
})

t.test('npm start is the process itself: ending npm ends it, and it has a name', { skip: linux }, async t => {
  const folder = t.testdir({ 'a.toml': site('127.0.0.1:0') })
  const npm = spawn(...boundCommand('npm', ['start', '--', '--config', folder]), {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => npm.kill('SIGKILL'))
  const ended = once(npm, 'exit')
  let said = ''
  npm.stdout?.on('data', (text: Buffer) => {
    said += text
  })
  await until(
    () => `"ready" of npm start; it says ${said}`,
    () => said.includes('"msg":"ready"'),
    30_000,
  )
  const [child = 0] = childrenOf(npm.pid as number)
  t.equal(readFileSync(`/proc/${child}/comm`, 'utf8'), 'causeway\n', 'for pgrep and top')
  t.equal(
    readFileSync(`/proc/${child}/cmdline`, 'latin1').replaceAll('\0', ''),
    `causeway run --config ${folder}`,
  )
  npm.kill('SIGTERM')
  await within('npm to end', ended)
  await until('Causeway to end', () => !isRunning(child))
})
