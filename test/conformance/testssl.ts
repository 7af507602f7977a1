import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { tableOf } from '../bench/bench-run.ts'
import { isInstalled } from '../bench/peer.ts'
import { startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { runInScope, type ScopedRun } from '../support/scoped-run.ts'

// What testssl.sh finds at a TLS listener that has nothing but a certificate: `node test/conformance/testssl.ts`. A minute or two, offline.

const USAGE = `node test/conformance/testssl.ts [options]
  --port N           a server that runs on localhost, instead of Causeway
  --authority FILE   whoever has signed its certificate
Exit code 1 at any finding that is medium or worse.
`

const LONGEST_MS = 900_000
const SCAN_MS = 600_000
const BAD = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'])
const FINE = new Set(['OK', 'INFO', 'DEBUG'])

/** Fields that are for the app to send: without them, a finding about headers would be one about the app. */
const APP_FIELDS = [
  "Content-Security-Policy: default-src 'self'",
  'X-Content-Type-Options: nosniff',
  'X-Frame-Options: DENY',
  'Referrer-Policy: same-origin',
  'Strict-Transport-Security: max-age=31536000',
]

/** An entry of testssl's flat JSON report. */
interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

interface Target {
  readonly port: number
  readonly authority: string | undefined
}

async function startSite({ scope, folder }: ScopedRun): Promise<Target> {
  const authority = new TestAuthority(folder)
  const { certificateFile, keyFile } = authority.issue({ names: ['localhost', '127.0.0.1'] })
  const app = await RecordingUpstream.start(scope)
  app.on('/', ok('A page.\n', APP_FIELDS.map(field => `${field}\r\n`).join('')))
  const listener = `tls = { certificate = "${certificateFile}", key = "${keyFile}" }`
  const causeway = await startCauseway(scope, { config: configText({ endpoints: [app.port], listener }) })
  return { port: causeway.port(), authority: authority.file }
}

/** Runs every check; nothing is looked up, and nothing outside is called. */
async function scan({ scope, folder }: ScopedRun, { port, authority }: Target): Promise<readonly Finding[]> {
  const report = join(folder, 'findings.json')
  const quiet = ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', '127.0.0.1']
  const trust = authority === undefined ? [] : ['--add-ca', authority]
  const child = spawn('testssl', [...quiet, ...trust, '--jsonfile', report, `localhost:${port}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: SCAN_MS,
    cwd: folder,
  })
  scope.teardown(() => {
    child.kill()
  })
  const [code] = await once(child, 'exit')
  if (!existsSync(report)) throw new Error(`testssl ended with ${code} and left no report`)
  const findings = JSON.parse(readFileSync(report, 'utf8')) as readonly Finding[]
  // It writes a report as well where it could not connect or broke off.
  const whole = ['cert_trust', 'RC4', 'scanTime'].every(id =>
    findings.some(one => one.id === id && one.severity !== 'WARN'),
  )
  if (!whole) throw new Error(`testssl did not come to its end: ${JSON.stringify(findings.slice(-3))}`)
  return findings
}

async function main(run: ScopedRun): Promise<number> {
  const { values } = parseArgs({ options: { port: { type: 'string' }, authority: { type: 'string' } } })
  if (!isInstalled('testssl')) throw new Error('needed on the path: testssl')
  const port = values.port === undefined ? undefined : Number(values.port)
  if (port !== undefined && !(port > 0)) throw new TypeError(`--port: expected a port, got "${values.port}"`)
  const target = port === undefined ? await startSite(run) : { port, authority: values.authority }
  const findings = await scan(run, target)
  const notable = findings.filter(({ severity }) => !FINE.has(severity))
  process.stdout.write(
    tableOf(
      ['severity', 'id', 'finding'],
      notable.map(one => [one.severity, one.id, one.finding]),
    ),
  )
  const bad = notable.filter(({ severity }) => BAD.has(severity))
  process.stdout.write(`${findings.length} findings, ${bad.length} medium or worse\n`)
  return bad.length > 0 ? 1 : 0
}

await runInScope({ name: 'testssl', usage: USAGE, longestMs: LONGEST_MS }, main)
