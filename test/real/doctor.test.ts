import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Finding } from '../../lib/doctor/finding.ts'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { startTlsTerminator, type TerminatorOptions } from '../support/tls-terminator.ts'
import { missing, startDjango } from './support.ts'

// A real Django behind Causeway behind something that ends TLS: the doctor finds nothing where all is well,
// and names the setting that was spoilt where it is not.

const skip = missing('django', 'gunicorn')

interface Site {
  readonly env?: Readonly<Record<string, string>>
  readonly listener?: string
  readonly terminator?: Partial<TerminatorOptions>
  readonly collected?: boolean
  readonly health?: string
  /** The health checks fail: waits until they have. */
  readonly down?: boolean
}

interface Diagnosis {
  readonly code: number | null
  readonly findings: readonly Finding[]
  readonly stderr: string
}

const GOOD_ENV = { DJANGO_SETTINGS_MODULE: 'django_site.checked_settings', DJANGO_ALLOWED_HOSTS: 'localhost' }
const health = (host: string) =>
  `health = { path = "/healthz", host = "${host}", headers = { X-Forwarded-Proto = "https" } }`
const TRUSTING = 'trusted_proxies = ["127.0.0.1"]'
const folder = mkdtempSync(join(tmpdir(), 'causeway-doctor-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const collected = join(folder, 'collected')
if (skip === false) collectStatic()

/** The site's files, as `collectstatic` lays them out. */
function collectStatic(): void {
  const env = { ...process.env, ...GOOD_ENV, DJANGO_STATIC_ROOT: collected, PYTHONDONTWRITEBYTECODE: '1' }
  const args = ['-m', 'django', 'collectstatic', '--noinput', '--verbosity', '0']
  const done = spawnSync('/usr/bin/python3', args, { cwd: import.meta.dirname, env, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(done.stderr)
}

async function examine(t: Test, site: Site, ...more: readonly string[]): Promise<Diagnosis> {
  // gunicorn believes loopback peers by itself: here the scheme is Django's business alone.
  const args = ['--worker-class', 'gthread', '--threads', '4', '--forwarded-allow-ips', '192.0.2.1']
  const app = await startDjango(t, args, {
    ...GOOD_ENV,
    DJANGO_STATIC_ROOT: collected,
    ...site.env,
  })
  const root = site.collected === false ? folder : collected
  const config = configText({
    endpoints: [app.port],
    listener: site.listener ?? TRUSTING,
    server: 'spool = { disk = "1GiB" }',
    // A short queue: sites without a ready endpoint answer soon.
    upstream: `queue = { timeout = "1s" }\n${site.health ?? health('localhost')}`,
    more: `[routes.static]\npath = "/static/"\nstatic = { root = "${root}" }`,
  })
  const causeway = await startCauseway(t, { config })
  if (site.down) await causeway.line('endpoint down', ({ msg }) => msg === 'endpoint down')
  const terminator = await startTlsTerminator(t, causeway.port(), { saysScheme: true, ...site.terminator })
  const file = join(folder, 'causeway.toml')
  writeFileSync(file, config)
  const url = `https://localhost:${terminator.port}/`
  return doctor(terminator.authority, [url, '--config', file, ...more])
}

/** Runs the command as an operator does. */
function doctor(authority: string, args: readonly string[]): Promise<Diagnosis> {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority }
  const child = spawn(process.execPath, ['cmd/causeway.ts', 'doctor', ...args, '--json'], { env })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise(resolve => {
    child.once('close', code => {
      const { findings } = JSON.parse(stdout || '{"findings":[]}') as {
        readonly findings: readonly Finding[]
      }
      resolve({ code, findings, stderr })
    })
  })
}

const problemsOf = ({ findings }: Diagnosis) => findings.filter(({ level }) => level === 'problem')

/** Exactly these checks find a problem, and one of them advises this. */
function names(t: Test, diagnosis: Diagnosis, checks: readonly string[], ...fixes: readonly string[]): void {
  const problems = problemsOf(diagnosis)
  t.equal(diagnosis.code, 1, diagnosis.stderr)
  t.same([...new Set(problems.map(({ check }) => check))], checks, JSON.stringify(problems))
  for (const fix of fixes)
    t.ok(
      problems.some(problem => problem.fix?.includes(fix)),
      `${fix} in ${JSON.stringify(problems)}`,
    )
}

t.test('good settings: no problem', { skip }, async t => {
  const diagnosis = await examine(t, {}, '--post', '/admin/login/')
  t.same(problemsOf(diagnosis), [])
  t.equal(diagnosis.code, 0)
  const fine = diagnosis.findings.filter(({ level }) => level === 'ok').map(({ check }) => check)
  for (const check of [
    'reachable',
    'redirects',
    'hosts',
    'probes',
    'debug',
    'csrf',
    'hsts',
    'fields',
    'leaks',
    'keep-alive',
    'forwarded',
    'spool',
  ]) {
    t.ok(
      fine.includes(check),
      `${check} is looked at: ${JSON.stringify(diagnosis.findings.filter(f => f.check === check))}`,
    )
  }
  // They may still be being compressed, which is a hint.
  t.ok(
    diagnosis.findings.some(({ check }) => check === 'static'),
    'static files are looked at',
  )
})

t.test('DEBUG', { skip }, async t => {
  names(t, await examine(t, { env: { DJANGO_DEBUG: 'on' } }), ['debug'], 'Django: DEBUG = False')
})

t.test('ALLOWED_HOSTS without the name of the site', { skip }, async t => {
  const site = { env: { DJANGO_ALLOWED_HOSTS: 'www.example.com' } }
  const advice = 'Django: ALLOWED_HOSTS = ["localhost"]'
  names(t, await examine(t, { ...site, health: '' }), ['hosts'], advice)
  // With health checks no endpoint is ready, and all that users see is a 503.
  names(t, await examine(t, { ...site, down: true }), ['reachable', 'probes'], advice)
})

t.test('probes that ALLOWED_HOSTS refuses', { skip }, async t => {
  const diagnosis = await examine(t, { health: health('10.0.0.7'), down: true })
  names(
    t,
    diagnosis,
    ['reachable', 'probes'],
    'upstreams.app.health.host = "localhost"',
    'add "10.0.0.7" to ALLOWED_HOSTS',
  )
})

t.test('static files that were not collected', { skip }, async t => {
  // Django itself cannot make the page without its manifest: only the folder that Causeway serves is empty.
  names(
    t,
    await examine(t, { collected: false }),
    ['static'],
    'collectstatic',
    'routes.static.static.root = ',
  )
})

t.test('insecure cookies', { skip }, async t => {
  const diagnosis = await examine(t, { env: { DJANGO_SECURE_COOKIES: 'off' } })
  names(t, diagnosis, ['cookies'], 'Django: CSRF_COOKIE_SECURE = True')
})

t.test('a redirect loop: Causeway does not believe what ends TLS', { skip }, async t => {
  const diagnosis = await examine(t, { listener: '' })
  names(t, diagnosis, ['redirects'], 'listeners.web.trusted_proxies', 'SECURE_PROXY_SSL_HEADER')
})

t.test('a redirect loop: Django does not look at the scheme', { skip }, async t => {
  const site = { env: { DJANGO_PROXY_HEADER: 'off' } }
  const advice = 'Django: SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")'
  names(t, await examine(t, { ...site, health: '' }), ['redirects'], advice)
  names(t, await examine(t, { ...site, down: true }), ['reachable', 'probes'], advice)
})

t.test('what ends TLS passes on what clients claim', { skip }, async t => {
  const silent = { terminator: { saysScheme: false } }
  const loop = await examine(t, silent)
  names(
    t,
    loop,
    ['redirects', 'forwarded'],
    'must send X-Forwarded-Proto: https, replacing what clients send',
  )
})

t.test('a lost port: forms are refused, and the doctor says why', { skip }, async t => {
  const diagnosis = await examine(t, { terminator: { losesPort: true } }, '--post', '/admin/login/')
  names(
    t,
    diagnosis,
    ['csrf'],
    'forward the Host field with its port',
    'CSRF_TRUSTED_ORIGINS = ["https://localhost:',
  )
})

t.test('no HSTS is a hint, with both settings that would help', { skip }, async t => {
  const diagnosis = await examine(t, { env: { DJANGO_HSTS: 'off' } })
  t.equal(diagnosis.code, 0)
  const [hsts] = diagnosis.findings.filter(({ check }) => check === 'hsts')
  t.match(hsts, { level: 'hint', fix: /SECURE_HSTS_SECONDS = 31536000.*routes\.app\.hsts/ })
})
