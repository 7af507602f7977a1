import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { jsonSchema } from '../lib/config/json-schema.ts'
import { type Loaded, loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { editDistance, nearest } from '../lib/config/nearest.ts'
import { reference } from '../lib/config/reference.ts'

const SMALL = `
[listeners.web]
address = "127.0.0.1:8080"
[upstreams.app]
endpoints = ["app:8000"]
[routes.app]
upstream = "app"
`

t.test('variables and files stand in for strings, and for counts', async t => {
  const secrets = t.testdirName
  const text = `${SMALL}
[admin]
token = "$\{file:${secrets}/token}"
[server]
workers = "$\{WORKERS}"
[log]
access = "$\{DIR:-/none}/$\{EMPTY:-a}-$\{UNSET:-}-$$\{X}-$5-$$"
[upstreams.run]
run = { command = ["x"], env = { TEXT = "$\{file:${secrets}/two}", SET = "<$\{EMPTY}>" } }
`
  const files = { token: 'abc\n', two: 'x\ny\n\n' }
  const snapshot = await snapshotOf(t, text, { WORKERS: '7', DIR: '/var', EMPTY: '' }, files)
  t.equal(snapshot.admin.token, 'abc', 'one line end is cut')
  t.equal(snapshot.server.workers, 7)
  t.strictSame(snapshot.log.access, { kind: 'file', path: `/var/a--${variable('X')}-$5-$` })
  t.strictSame(snapshot.upstreams[1]?.run?.env, { TEXT: 'x\ny\n', SET: '<>' })
})

t.test('a variable can never become configuration, and is not looked up on Object.prototype', async t => {
  const text = SMALL.replace('app:8000', variable('APP')).replace(
    '= "app"',
    `= "${variable('toString:-app')}"`,
  )
  const loaded = await load(t, text, { APP: 'a:1"]\n[admin]\naddress = "0.0.0.0:1' })
  t.match(messages(loaded), [
    /upstreams.app.endpoints\[0\]: expected an address.* got the value of "\$\{APP\}"/,
  ])
})

t.test('a refused value that came out of a variable or a file is not shown', async t => {
  const text = `${SMALL}\n[admin]\ntoken = "$\{file:${t.testdirName}/token}"\naddress = "$\{ADDRESS}"`
  const loaded = await load(t, text, { ADDRESS: 'hunter2' }, { token: 'hunter2 hunter2' })
  t.notOk(loaded.ok)
  t.notMatch(JSON.stringify(loaded), /hunter2/)
})

t.test('zero and "off" switch off what can be off', async t => {
  for (const off of ['0', '"0"', '"off"']) {
    const { listeners, upstreams } = await snapshotOf(
      t,
      `${SMALL}
[upstreams.b]
endpoints = ["b:1"]
passive = { failures = ${off} }
retry = { budget = ${off} }
[listeners.b]
address = "127.0.0.1:8081"
limits = { body = ${off} }
timeouts = { min_rate = ${off} }
`,
    )
    t.equal(upstreams[1]?.passive.failures, 0)
    t.equal(upstreams[1]?.retry.budgetShare, 0)
    t.equal(listeners[1]?.limits.bodyBytes, Number.POSITIVE_INFINITY)
    t.equal(listeners[1]?.timeouts.minRateBytes, 0)
  }
})

t.test('the admin listener needs a token unless only this machine can reach it', async t => {
  for (const address of ['127.0.0.1:1', '127.8.8.8:1', '[::1]:1', 'localhost:1', 'unix:/run/a.sock']) {
    t.ok((await load(t, `${SMALL}[admin]\naddress = "${address}"`)).ok, address)
  }
  for (const address of ['0.0.0.0:1', '[::]:1', '10.0.0.1:1', 'example.com:1', '[::ffff:10.0.0.1]:1']) {
    t.match(messages(await load(t, `${SMALL}[admin]\naddress = "${address}"`)), [/has no token/], address)
    t.ok(
      (await load(t, `${SMALL}[admin]\naddress = "${address}"\ntoken = "${'x'.repeat(16)}"`)).ok,
      `${address} with a token`,
    )
    const short = await load(t, `${SMALL}[admin]\naddress = "${address}"\ntoken = "${'x'.repeat(15)}"`)
    t.notOk(short.ok, `${address} with one that can be guessed`)
    t.match(messages(short), [/^the token is shorter than 16 characters: it can be guessed$/])
  }
  const near = await load(t, `${SMALL}[admin]\ntoken = "x"`)
  t.ok(near.ok, 'on this machine a short one is only warned of')
  t.match(messages(near), [/^the token is shorter than 16 characters/])
  t.match(messages(await load(t, `${SMALL}[admin]\ntoken = ""`)), [/admin.token: the token must be/])
})

t.test('names of Object.prototype work as names', async t => {
  const text = SMALL.replaceAll('app]', 'constructor]')
    .replace('upstream = "app"', 'upstream = "constructor"')
    .replace('.web', '.__proto__')
  const snapshot = await snapshotOf(
    t,
    `${text}[upstreams.valueOf]\nrun = { command = ["x"], env = { __proto__ = "1" } }`,
  )
  t.equal(snapshot.listeners[0]?.name, '__proto__')
  t.same(
    snapshot.upstreams.map(upstream => upstream.name),
    ['constructor', 'valueOf'],
  )
  t.same(Object.entries(snapshot.upstreams[1]?.run?.env ?? {}), [['__proto__', '1']])
})

t.test('a folder is read in byte order, without the leftovers of editors and package managers', async t => {
  const [listener = '', rest = ''] = SMALL.split('[upstreams.app]')
  const dir = t.testdir({
    'b.toml': `[upstreams.app]${rest}`,
    'B.toml': listener,
    '.hidden.toml': 'broken',
    '.b.toml.swp': 'broken',
    'b.toml~': 'broken',
    'b.toml.bak': 'broken',
    'b.toml.dpkg-old': 'broken',
    'b.toml.rpmsave': 'broken',
    'README.md': 'broken',
  })
  const loaded = await loadConfig(dir, {})
  t.ok(loaded.ok)
  t.same(loaded.ok && loaded.files, [join(dir, 'B.toml'), join(dir, 'b.toml')])
})

t.test('a mounted ConfigMap, links through a hidden folder, is read', async t => {
  const dir = t.testdir({ '..data': { 'app.toml': SMALL }, '.lock.toml': t.fixture('symlink', 'nowhere') })
  symlinkSync('..data/app.toml', join(dir, 'app.toml'))
  t.ok((await loadConfig(dir, {})).ok)
})

t.test('a file that cannot be read says why', async t => {
  const dir = t.testdir({ empty: {}, folder: { 'x.toml': {} }, latin: { 'a.toml': '' } })
  writeFileSync(join(dir, 'latin/a.toml'), Buffer.from('a = 1\nb = "\xff"\n', 'latin1'))
  const messageOf = async (path: string) => messages(await loadConfig(join(dir, path), {}))
  t.match(await messageOf('missing.toml'), [`no configuration found at ${dir}/missing.toml`])
  t.match(await messageOf('empty'), ['the folder contains no *.toml file'])
  t.match(await messageOf('folder'), ['this is a folder, not a file'])
  t.match(await messageOf('latin'), ['line 2 is not UTF-8 text'])
})

t.test(
  'a file without read permission says so',
  { skip: process.getuid?.() === 0 && 'root reads all' },
  async t => {
    const dir = t.testdir({ 'a.toml': SMALL })
    chmodSync(join(dir, 'a.toml'), 0)
    t.match(messages(await loadConfig(dir, {})), ['this user has no permission to read the file'])
  },
)

t.test('a byte order mark is no mistake, and moves no column', async t => {
  const loaded = await load(t, `\ufeff${SMALL.trim().replace('[listeners.web]', '[listeners.web] x')}`)
  t.match(loaded, { problems: [{ line: 1, column: 17 }] })
  t.ok((await load(t, `\ufeff${SMALL}`)).ok)
})

t.test('the hash follows the contents', async t => {
  const first = await snapshotOf(t, SMALL)
  const again = await snapshotOf(t, SMALL)
  const other = await snapshotOf(t, `${SMALL}#`)
  t.equal(first.hash, again.hash)
  t.not(first.hash, other.hash)
})

t.test(
  'conf.d/REFERENCE.md is printed from the rows: node lib/config/reference.ts > conf.d/REFERENCE.md',
  t => {
    t.equal(readFileSync('conf.d/REFERENCE.md', 'utf8'), reference())
    t.end()
  },
)

t.test('the JSON Schema knows every section and refuses other keys', t => {
  const schema = JSON.parse(JSON.stringify(jsonSchema()))
  t.same(Object.keys(schema.properties), [
    'server',
    'log',
    'admin',
    'acme',
    'listeners',
    'upstreams',
    'routes',
    'tunnels',
  ])
  const upstream = schema.properties.upstreams.additionalProperties
  t.match(upstream, {
    additionalProperties: false,
    properties: {
      endpoints: { type: 'array', items: { anyOf: [{ type: 'string' }, { required: ['address'] }] } },
      max_inflight: { type: 'integer', default: 0 },
      health: { properties: { interval: { default: '2s' } } },
    },
  })
  t.end()
})

t.test('the nearest word is one that a slip of the finger explains', t => {
  t.equal(nearest('djnago', ['app', 'django']), 'django')
  t.equal(nearest('Endpoint', ['endpoints', 'balance']), 'endpoints')
  t.equal(nearest('zzz', ['app', 'django']), undefined)
  t.equal(nearest('x', []), undefined)
  t.equal(editDistance('ab', 'ba'), 1, 'a swap is one step')
  t.equal(editDistance('kitten', 'sitting'), 3)
  t.equal(editDistance('', 'abc'), 3)
  t.end()
})

t.test('check exits 0 with one line on stdout, or 78 with the problems', t => {
  const dir = t.testdir({
    'good.toml': SMALL,
    'bad.toml': 'x = 1',
    'warn.toml': SMALL.replace('"app:8000"]', '"app:8000"]\nhash_on = "uri"'),
  })
  const good = check(join(dir, 'good.toml'), false)
  t.match(good, {
    status: 0,
    stderr: '',
    stdout: `configuration is valid: 1 listener, 1 upstream, 1 route (${dir}/good.toml: 1 file)\n`,
  })
  t.match(check(join(dir, 'warn.toml'), false), {
    status: 0,
    stderr: /^.*warn.toml:6:11: warning: /,
    stdout: /^configuration is valid/,
  })
  const bad = check(join(dir, 'bad.toml'), false)
  t.match(bad, { status: 78, stdout: '', stderr: /bad.toml:1:1: error: unknown section "x"/ })
  t.match(JSON.parse(check(join(dir, 'bad.toml'), true).stdout), {
    ok: false,
    problems: [
      { severity: 'error' },
      { severity: 'warning' },
      { line: 1, column: 1, message: 'unknown section "x"' },
    ],
  })
  t.same(JSON.parse(check(join(dir, 'good.toml'), true).stdout), { ok: true, problems: [] })
  t.end()
})

function check(config: string, json: boolean) {
  const module = JSON.stringify(resolve('cmd/check.ts'))
  const script = `import { check } from ${module}; process.exitCode = await check(${JSON.stringify({ config, json })})`
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
  })
}

function variable(name: string): string {
  return `$\{${name}}`
}

type Variables = Readonly<Record<string, string>>

function load(t: Test, text: string, env: Variables = {}, files: Variables = {}): Promise<Loaded> {
  return loadConfig(join(t.testdir({ ...files, 'c.toml': text }), 'c.toml'), env)
}

async function snapshotOf(
  t: Test,
  text: string,
  env: Variables = {},
  files: Variables = {},
): Promise<Snapshot> {
  const loaded = await load(t, text, env, files)
  if (!loaded.ok) throw new Error(messages(loaded).join('\n'))
  return loaded.snapshot
}

function messages(loaded: Loaded): readonly string[] {
  return (loaded.ok ? loaded.warnings : loaded.problems).map(problem => problem.message)
}
