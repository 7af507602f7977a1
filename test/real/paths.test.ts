import t, { type Test } from 'tap'
import { freePorts } from '../bench/ports.ts'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { honestPaths, oddPaths, randomFrom } from './path-generator.ts'
import { askAll, type Target } from './pipelined-client.ts'
import { missing, PYTHON, startServer } from './support.ts'

// The same paths before every server: none may reach a view that its site has closed, by any reader behind
// it, and no honest one may be refused. CI asks each server for 1,500 paths, in half a minute. All of them:
// `PATHS=200000 npx tap --disable-coverage --timeout=14400 test/real/paths.test.ts`; 7 to 9 minutes a server
// on two cores that are busy elsewhere. `SEED` chooses others.

const PATHS = Number(process.env['PATHS'] ?? 1500)
const SEED = Number(process.env['SEED'] ?? 1)
const CONNECTIONS = 8
const skip = missing('django', 'gunicorn', 'uvicorn', 'hypercorn', 'daphne')
t.setTimeout(0)

interface Server {
  readonly name: string
  readonly scheme?: string
  command(port: number): readonly [string, ...string[]]
  readonly listens: RegExp
}

const UWSGI = [
  'uwsgi',
  '--plugin',
  'http,python3',
  '--module',
  'path_readers:wsgi',
  '--master',
  '--need-app',
  '--die-on-term',
  '--disable-logging',
] as const
const POOL = ['--processes', '2', '--threads', '4'] as const
const ASGI = 'path_readers:asgi'

const SERVERS: readonly Server[] = [
  {
    name: 'gunicorn',
    command: port => [
      PYTHON,
      '-m',
      'gunicorn',
      '--bind',
      `127.0.0.1:${port}`,
      '--workers',
      '2',
      '--threads',
      '4',
      'path_readers:wsgi',
    ],
    listens: /Booting worker/,
  },
  {
    name: 'uwsgi',
    scheme: 'uwsgi://',
    command: port => [...UWSGI, ...POOL, '--socket', `127.0.0.1:${port}`],
    listens: /spawned uWSGI worker 2/,
  },
  {
    name: 'uwsgi-http-socket',
    command: port => [...UWSGI, ...POOL, '--http-socket', `127.0.0.1:${port}`],
    listens: /spawned uWSGI worker 2/,
  },
  {
    name: 'uwsgi-http',
    command: port => [...UWSGI, ...POOL, '--http', `127.0.0.1:${port}`],
    listens: /spawned uWSGI http 1/,
  },
  {
    name: 'uvicorn',
    command: port => [
      PYTHON,
      '-m',
      'uvicorn',
      '--host',
      '127.0.0.1',
      '--port',
      `${port}`,
      '--log-level',
      'info',
      '--no-access-log',
      ASGI,
    ],
    listens: /running on/,
  },
  {
    name: 'hypercorn',
    command: port => [PYTHON, '-m', 'hypercorn', '--bind', `127.0.0.1:${port}`, ASGI],
    listens: /Running on/,
  },
  {
    name: 'daphne',
    command: port => [PYTHON, '-m', 'daphne', '-b', '127.0.0.1', '-p', `${port}`, '-v', '1', ASGI],
    listens: /Listening on TCP address/,
  },
]

/**
 * Each server behind two hosts: `outside.NAME` has closed what lies below three prefixes, `inside.NAME` all
 * else.
 */
function siteText({ name, scheme = '' }: Server, port: number): string {
  const route = (at: string, host: string, path: string, more: string) =>
    `[routes.${name}-${at}]\nhosts = ["${host}.${name}"]\npath = "${path}"\nupstream = "${name}"\n${more}\n`
  const closed = 'maintenance = {}'
  return [
    `[upstreams.${name}]\nendpoints = ["${scheme}127.0.0.1:${port}"]\nqueue = { length = 4096, timeout = "60s" }\n`,
    route('all', 'outside', '/', ''),
    ...['api', 'admin', 'café'].map((prefix, i) => route(`closed-${i}`, 'outside', `/${prefix}/`, closed)),
    route('rest', 'inside', '/', closed),
    route('api', 'inside', '/api/', ''),
  ].join('\n')
}

async function start(t: Test): Promise<{ readonly causeway: Running; readonly ports: readonly number[] }> {
  const ports = await freePorts(SERVERS.length)
  for (const [i, { command, listens }] of SERVERS.entries())
    await started(t, command(ports[i] as number), listens)
  const more = SERVERS.map((server, i) => siteText(server, ports[i] as number)).join('\n')
  const config = `${configText({ endpoints: ['127.0.0.1:1'], more }).replace(/\[routes\.app\][^[]*/, '')}\n[log]\naccess = "off"\n`
  return { causeway: await startCauseway(t, { config }), ports }
}

/** Its pattern says nothing of a port. */
async function started(t: Test, command: readonly [string, ...string[]], listens: RegExp): Promise<void> {
  await startServer(t, command, {}, new RegExp(`(?=[\\s\\S]*(?:${listens.source}))[\\s\\S]*?(\\d+)`))
}

/** Answers by status, and what went wrong. */
class Tally {
  readonly statuses = new Map<number, number>()
  readonly wrong: string[] = []

  add(status: number, wrong: string | undefined): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
    if (wrong !== undefined && this.wrong.length < 20) this.wrong.push(wrong)
  }

  get text(): string {
    return [...this.statuses].map(([status, count]) => `${count} x ${status}`).join(', ')
  }
}

/** Asks for all paths over several connections. */
async function ask(
  target: Target,
  paths: readonly string[],
  wrong: (path: string, status: number, body: string) => boolean,
): Promise<Tally> {
  const tally = new Tally()
  const share = Math.ceil(paths.length / CONNECTIONS)
  const parts = Array.from({ length: CONNECTIONS }, (_, i) => paths.slice(i * share, (i + 1) * share))
  await Promise.all(
    parts.map(part =>
      askAll(target, part, (path, { status, body }) =>
        tally.add(status, wrong(path, status, body) ? `${path}: ${status} ${body}` : undefined),
      ),
    ),
  )
  return tally
}

/** Node's own reading of what reached the app as it came; undefined for what it cannot read. */
function byUrl(path: string): string | undefined {
  if (!URL.canParse(path, 'http://site.test')) return undefined
  const { pathname } = new URL(path, 'http://site.test')
  return /^\/(api|admin|caf%C3%A9)\//.exec(pathname)?.[1] ?? 'open'
}

/** An app has answered, and one of its readers has found a view that is closed. */
const isClosedOutside = (path: string, status: number, body: string) =>
  status === 200 && (/=(?:api|admin|caf)/.test(body) || (byUrl(path) ?? 'open') !== 'open')
const isClosedInside = (path: string, status: number, body: string) =>
  status === 200 && (/=(?!api|error)/.test(body) || (byUrl(path) ?? 'api') !== 'api')

t.test('paths before real servers', { skip }, async t => {
  const { causeway, ports } = await start(t)
  const port = causeway.port()
  const random = randomFrom(SEED)
  const odd = [...oddPaths(PATHS, random)]
  const honest = [...honestPaths('/', Math.max(200, PATHS / 50), random)]
  const honestInside = [...honestPaths('/api/', Math.max(200, PATHS / 50), random)]

  for (const [i, { name }] of SERVERS.entries()) {
    await t.test(name, async t => {
      const [outer, inner] = ['outside', 'inside'].map(site => ({
        port,
        host: `${site}.${name}`,
        ahead: 16,
      })) as [Target, Target]
      const outside = await ask(outer, odd, isClosedOutside)
      t.same(outside.wrong, [], `no closed view is reached from outside: ${outside.text}`)
      const inside = await ask(inner, odd.slice(0, Math.ceil(PATHS / 8)), isClosedInside)
      t.same(inside.wrong, [], `no closed view is reached from inside: ${inside.text}`)
      t.ok((outside.statuses.get(200) ?? 0) > PATHS / 50 && (outside.statuses.get(400) ?? 0) > PATHS / 50)

      const good = await ask(outer, honest, (_, status, body) => status !== 200 || /=(?!open)/.test(body))
      t.same(good.wrong, [], `no honest path is refused: ${good.text}`)
      const below = await ask(
        inner,
        honestInside,
        (_, status, body) => status !== 200 || /=(?!api)/.test(body),
      )
      t.same(below.wrong, [], `nor one below a prefix: ${below.text}`)

      if (name === 'uwsgi') return
      // Not ahead: gunicorn's threads then take the next request only when the connection is given up.
      const straight = { port: ports[i] as number, host: outer.host, ahead: 1 }
      const direct = await ask(straight, odd.slice(0, 300), isClosedOutside)
      t.ok(direct.wrong.length > 10, 'asked without Causeway, the same paths do reach closed views')
    })
  }
  t.equal((await causeway.metrics()).sum('causeway_uncaught_errors_total'), 0)
})
