import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scope } from '../faults/scope.ts'
import { startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'

/** A scan tries hundreds of handshakes, each by a process of its own: a minute or two on an idle machine. */
export const SCAN_MS = 400_000
const BAD = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'])
const FINE = new Set(['OK', 'INFO', 'DEBUG'])
/** Of the checks that come first, and last. */
const ESSENTIAL = [/^cert_trust( |$)/, /^RC4$/, /^scanTime$/]

/** Fields that are for the app to send: without them, a finding about headers would be one about the app. */
const APP_FIELDS = [
  "Content-Security-Policy: default-src 'self'",
  'X-Content-Type-Options: nosniff',
  'X-Frame-Options: DENY',
  'Referrer-Policy: same-origin',
  'Strict-Transport-Security: max-age=31536000',
]

/** An entry of testssl's flat JSON report. */
export interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

export interface Target {
  readonly port: number
  /** File with the certificate of whoever has signed the server's. */
  readonly authority: string | undefined
}

/** False when testssl.sh is here, else the reason to skip; in CI there is no such reason. */
export function missingTestssl(): string | false {
  if (spawnSync('testssl', ['--help']).error === undefined) return false
  if (process.env['CI']) throw new Error('there is no testssl (Debian: testssl.sh)')
  return 'there is no testssl (Debian: testssl.sh)'
}

/** A TLS listener that has two certificates, for ECDSA and RSA, and says nothing else. */
export async function startSite(scope: Scope, folder: string): Promise<Target> {
  const authority = new TestAuthority(folder)
  const pairs = (['ecdsa', 'rsa'] as const).map(keyType => {
    const { certificateFile, keyFile } = authority.issue({ names: ['localhost', '127.0.0.1'], keyType })
    return `{ certificate = "${certificateFile}", key = "${keyFile}" }`
  })
  const app = await RecordingUpstream.start(scope)
  app.on('/', ok('A page.\n', APP_FIELDS.map(field => `${field}\r\n`).join('')))
  const listener = `tls = [${pairs.join(', ')}]`
  const causeway = await startCauseway(scope, { config: configText({ endpoints: [app.port], listener }) })
  return { port: causeway.port(), authority: authority.file }
}

/**
 * Runs every check; nothing is looked up, and nothing outside is called. Throws where it did not come to its
 * end.
 */
export async function scan(
  scope: Scope,
  folder: string,
  { port, authority }: Target,
): Promise<readonly Finding[]> {
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
  const whole = ESSENTIAL.every(essential =>
    findings.some(({ id, severity }) => essential.test(id) && severity !== 'WARN'),
  )
  if (!whole) throw new Error(`testssl did not come to its end: ${JSON.stringify(findings.slice(-3))}`)
  return findings
}

/** Those that say more than that all is well: low ones, and checks that could not be made, too. */
export function notable(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(({ severity }) => !FINE.has(severity))
}

/** Medium or worse. */
export function bad(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(({ severity }) => BAD.has(severity))
}
