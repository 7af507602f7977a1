import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { tableOf } from '../bench/bench-run.ts'
import { startProxy } from '../bench/faults/proxy-process.ts'
import { isInstalled } from '../bench/peer.ts'
import { startCauseway } from '../support/causeway.ts'
import { type MadeCertificate, TestAuthority } from '../support/certificates.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { runInScope, type ScopedRun } from '../support/scoped-run.ts'
import { until } from '../support/until.ts'
import { type Results, resultsOf, uneven, worse } from './verdicts.ts'

// All cases of h2spec (RFC 9113 and RFC 7541) against Causeway and nghttpd, side by side: `node
// test/conformance/h2spec.ts PATH`. Not in test/bench, because nothing is measured: it passes or it fails,
// and belongs beside other programs that judge a listener.

const USAGE = `node test/conformance/h2spec.ts [options] [H2SPEC]
  H2SPEC       path of the h2spec program; or the variable H2SPEC
  --only A,B   of nghttpd, causeway (both)
  --details    for each case that failed, what was expected and what came
Exit code 1 where Causeway fails a case that nghttpd passes over the same transport.
`

const LONGEST_MS = 900_000
/** Seconds that h2spec waits for a frame; generous, because CI machines are busy. */
const TIMEOUT = 3
const PAGE = 'A page of some length.\n'.repeat(100)

/** A place that h2spec can be sent to. */
interface Target {
  readonly name: string
  readonly server: 'nghttpd' | 'causeway'
  readonly transport: 'h2c' | 'tls'
  readonly port: number
  readonly path: string
}

interface Judged extends Target {
  readonly results: Results
}

/** Resolves once a connection to the port succeeds. */
async function listening(port: number): Promise<void> {
  await until(`a listener on port ${port}`, async () => {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  })
}

async function startNghttpd({ scope }: ScopedRun, files: MadeCertificate): Promise<readonly Target[]> {
  const start = (options: readonly string[], keys: readonly string[]) =>
    startProxy(scope, 'nghttpd', ({ folder, port }) => {
      writeFileSync(join(folder, 'index.html'), PAGE)
      return ['nghttpd', '--address=127.0.0.1', '-d', folder, ...options, String(port), ...keys]
    })
  const plain = await start(['--no-tls'], [])
  const secret = await start([], [files.keyFile, files.certificateFile])
  await Promise.all([listening(plain.port), listening(secret.port)])
  const target = { server: 'nghttpd', path: '/' } as const
  return [
    { ...target, name: 'nghttpd h2c', transport: 'h2c', port: plain.port },
    { ...target, name: 'nghttpd TLS', transport: 'tls', port: secret.port },
  ]
}

async function startSite(
  { scope, folder }: ScopedRun,
  files: MadeCertificate,
  app: RecordingUpstream,
): Promise<readonly Target[]> {
  const root = join(folder, 'static')
  mkdirSync(root)
  writeFileSync(join(root, 'page.txt'), PAGE)
  const causeway = await startCauseway(scope, {
    config: `
[server]
workers = 1
drain = "1s"
[admin]
address = "127.0.0.1:0"
[listeners.plain]
address = "127.0.0.1:0"
h2c = true
[listeners.secret]
address = "127.0.0.1:0"
tls = { certificate = "${files.certificateFile}", key = "${files.keyFile}" }
[upstreams.app]
endpoints = ["127.0.0.1:${app.port}"]
[routes.static]
path = "/static/"
static = { root = "${root}" }
[routes.app]
path = "/"
upstream = "app"
`,
  })
  const paths = [
    ['proxied', '/'],
    ['static', '/static/page.txt'],
  ] as const
  return paths.flatMap(([kind, path]): Target[] => [
    { name: `h2c ${kind}`, server: 'causeway', transport: 'h2c', port: causeway.port('plain'), path },
    { name: `TLS ${kind}`, server: 'causeway', transport: 'tls', port: causeway.port('secret'), path },
  ])
}

/**
 * Runs every case, the strict ones too, and reads the report; h2spec's own exit code says no more than that.
 */
async function judge(program: string, folder: string, target: Target): Promise<Judged> {
  process.stderr.write(`h2spec: ${target.name}\n`)
  const report = join(folder, `${target.name.replaceAll(' ', '-')}.xml`)
  const where = ['-h', '127.0.0.1', '-p', String(target.port), '-P', target.path]
  const how = ['-S', '-o', String(TIMEOUT), '-j', report, ...(target.transport === 'tls' ? ['-t', '-k'] : [])]
  const child = spawn(program, [...where, ...how, 'generic', 'http2', 'hpack'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: LONGEST_MS / 3,
  })
  await once(child, 'exit')
  if (!existsSync(report)) throw new Error(`h2spec left no report of ${target.name}`)
  return { ...target, results: resultsOf(readFileSync(report, 'utf8')) }
}

const countOf = ({ results }: Judged, verdict: string) =>
  [...results.values()].filter(result => result.verdict === verdict).length

function render(judged: readonly Judged[], details: boolean): string {
  const all = judged.map(({ results }) => results)
  const rows = uneven(all).map(name => [name, ...all.map(results => results.get(name)?.verdict ?? 'not run')])
  const totals = (['pass', 'fail', 'skip'] as const).map(verdict => [
    `all: ${verdict}`,
    ...judged.map(one => String(countOf(one, verdict))),
  ])
  const table = tableOf(['case', ...judged.map(({ name }) => name)], [...rows, ...totals])
  if (!details) return table
  const failed = judged.flatMap(({ name, results }) =>
    [...results]
      .filter(([, { verdict }]) => verdict === 'fail')
      .map(([title, { detail }]) => `\n${name}, ${title}\n${detail}\n`),
  )
  return table + failed.join('')
}

/**
 * Where HTTP/2 without TLS is taken, HTTP/1 is as well: what is no preface gets HTTP/1's 400, which h2spec
 * cannot read.
 */
const BY_DESIGN = { transport: 'h2c', name: 'http2/3.5: Sends invalid connection preface' } as const

/**
 * Causeway held against nghttpd over the same transport, on the route for the app and on the one for files.
 */
function complaints(judged: readonly Judged[]): readonly string[] {
  return judged.flatMap(ours => {
    if (ours.server !== 'causeway') return []
    const theirs = judged.find(one => one.server === 'nghttpd' && one.transport === ours.transport)
    return theirs === undefined
      ? []
      : worse(ours.results, theirs.results)
          .filter(name => ours.transport !== BY_DESIGN.transport || name !== BY_DESIGN.name)
          .map(name => `${ours.name}: ${name}`)
  })
}

async function main(run: ScopedRun): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { only: { type: 'string' }, details: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const program = positionals[0] ?? process.env['H2SPEC']
  if (program === undefined || !existsSync(program)) throw new TypeError('where is h2spec?')
  const wanted = (name: string) => values.only?.split(',').includes(name) ?? true
  const files = new TestAuthority(run.folder).issue({ names: ['localhost', '127.0.0.1'] })
  const targets: Target[] = []
  if (wanted('nghttpd')) {
    if (!isInstalled('nghttpd')) throw new Error('needed on the path: nghttpd')
    targets.push(...(await startNghttpd(run, files)))
  }
  const app = await RecordingUpstream.start(run.scope)
  app.on('/', ok(PAGE))
  if (wanted('causeway')) targets.push(...(await startSite(run, files, app)))
  const judged: Judged[] = []
  for (const target of targets) {
    judged.push(await judge(program, run.folder, target))
  }
  process.stdout.write(render(judged, values.details))
  const worseThere = complaints(judged)
  for (const complaint of worseThere)
    process.stdout.write(`nghttpd passes, Causeway does not: ${complaint}\n`)
  for (const dirt of app.dirty) process.stdout.write(`ambiguous at the app: ${dirt}\n`)
  return worseThere.length + app.dirty.length > 0 ? 1 : 0
}

await runInScope({ name: 'h2spec', usage: USAGE, longestMs: LONGEST_MS }, main)
