import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Finding } from '../lib/doctor/finding.ts'
import { reportText } from '../lib/doctor/report.ts'
import { checkSpool } from '../lib/doctor/spool-check.ts'
import { checkTimeouts } from '../lib/doctor/timeout-check.ts'
import { CONFIG, saidBy, snapshotOf } from './support/doctor-answers.ts'

t.test('time-outs in the wrong order, with the value that is right', async t => {
  const to = async (upstream: string, drain = '60s') =>
    saidBy(checkTimeouts(await snapshotOf(t, CONFIG(upstream, `[server]\ndrain = "${drain}"`))))
  const run = (command: string, more = '') => `run = { command = [${command}] }\n${more}`
  const own = async (upstream: string) =>
    saidBy(
      checkTimeouts(
        await snapshotOf(t, CONFIG(upstream, '[server]\ndrain = "60s"').replace(/^endpoints.*$/m, '')),
      ),
    )
  t.same(await to(''), [])
  t.same(await to('', '30s'), ['hint: server.drain = "1m"'])
  t.same(await to('timeouts = { connect = "5s", response = "4s" }'), [
    'problem: upstreams.app.timeouts.connect = "2s"',
  ])
  t.same(await to('health = { interval = "1s", timeout = "2s" }'), [
    'problem: upstreams.app.health.timeout = "500ms"',
  ])
  t.match(await own(run('"gunicorn", "--timeout", "120"')), [/upstreams\.app\.timeouts\.response = "125s"/])
  t.match(await own(run('"uwsgi", "--harakiri=90"')), [/response = "95s"/])
  t.same(await own(run('"gunicorn", "-t", "30"')), [])
  t.match(await own(run('"gunicorn", "--keep-alive", "5"', 'keepalive = { idle = "5s" }')), [
    /keepalive\.idle = "auto"/,
  ])
  t.match(await to('server = "uvicorn"\nkeepalive = { idle = "10s" }'), [/keepalive\.idle = "auto"/])
  t.same(await to('server = "uvicorn"\nkeepalive = { idle = "4s" }'), [])
})

t.test('uploads that find no room', async t => {
  const to = async (body: string, spool: string, upstream = '') => {
    const text = CONFIG(upstream, `[server]\nspool = { ${spool} }`).replace(
      '8080"',
      `8080"\nlimits = { body = "${body}" }`,
    )
    return saidBy(checkSpool(await snapshotOf(t, text)))
  }
  t.same(await to('100MiB', 'disk = "4GiB"'), [])
  t.same(await to('2GiB', 'disk = "1GiB"'), ['problem: server.spool.disk = "8GiB"'])
  t.same(await to('512MiB', 'disk = "1GiB"'), ['hint: server.spool.disk = "2GiB"'])
  t.same(await to('off', 'disk = "1GiB"'), ['hint: listeners.web.limits.body = "256MiB"'])
  t.same(await to('2GiB', 'disk = "1GiB"', 'body = "stream"'), [], 'nothing is spooled')
  t.same(await to('1MiB', 'memory = "2MiB", memory_total = "1MiB"'), [
    'problem: server.spool.memory = "64KiB"',
  ])
})

t.test('the report: a line each, problems last, and no control code of a site', async t => {
  const findings: Finding[] = [
    { level: 'problem', check: 'debug', where: '/x', what: 'a\n\u001b[2J', fix: 'Django: DEBUG = False' },
    { level: 'ok', check: 'hosts', where: '/', what: 'fine', fix: undefined },
  ]
  t.equal(
    reportText(findings),
    'ok       hosts        /: fine\nproblem  debug        /x: a [2J => Django: DEBUG = False\n1 problem, 0 hints, 1 ok\n',
  )
})

/** Runs the command as an operator does. */
function causeway(
  ...args: string[]
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, ['cmd/causeway.ts', 'doctor', ...args])
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (text: Buffer) => {
    said.stdout += text
  })
  child.stderr.on('data', (text: Buffer) => {
    said.stderr += text
  })
  return new Promise(resolve => {
    child.once('close', code => resolve({ code, ...said }))
  })
}

t.test('another site, to which a site leads, is not asked', async t => {
  let asked = 0
  const other = createServer((_question, response) => {
    asked += 1
    response.end()
  })
  await new Promise<void>(done => other.listen(0, '127.0.0.1', done))
  const { port } = other.address() as AddressInfo
  const server = createServer((_question, response) => {
    response.writeHead(302, { location: `http://localhost:${port}/` })
    response.end()
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => {
    server.close()
    other.close()
  })
  const ran = await causeway(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  t.equal(ran.code, 0, ran.stdout)
  t.match(ran.stdout, 'redirects to another site, http://localhost')
  t.equal(asked, 0)
})

t.test('the command: its exit codes, and nothing posted unless told to', async t => {
  const methods: string[] = []
  const server = createServer((question, response) => {
    methods.push(question.method ?? '')
    const known = question.url === '/' || question.url === '/healthz'
    const host = question.headers.host?.startsWith('127.0.0.1')
    response.writeHead(host ? (known ? 200 : 404) : 400, { 'content-type': 'text/html' })
    response.end(question.url === '/' ? '<input name="csrfmiddlewaretoken" value="t0ken">' : 'plain')
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/`

  const fine = await causeway(url, '--json')
  t.equal(fine.code, 0, fine.stdout)
  const told = JSON.parse(fine.stdout) as { readonly ok: boolean; readonly findings: readonly Finding[] }
  t.equal(told.ok, true)
  t.match(
    told.findings.find(({ check }) => check === 'keep-alive'),
    { level: 'ok' },
  )
  t.same(new Set(methods), new Set(['GET']))
  const posted = await causeway(url, '--post', '/')
  t.equal(posted.code, 0, posted.stdout)
  t.ok(methods.includes('POST'))

  t.equal((await causeway('http://127.0.0.1:1/')).code, 1, 'nobody is there')
  for (const args of [[], ['ftp://x/'], [url, 'more'], [url, '--post', 'admin'], [url, '--confg', 'x']]) {
    const { code, stdout } = await causeway(...args)
    t.equal(code, 2, args.join(' '))
    t.equal(stdout, '')
  }
  const bad = await causeway(url, '--config', t.testdir({ 'a.toml': '[listeners.web]\naddres = "x"\n' }))
  t.equal(bad.code, 78)
  t.match(bad.stderr, /a\.toml:2:1/)
})
