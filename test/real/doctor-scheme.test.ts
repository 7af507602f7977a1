import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Finding } from '../../lib/doctor/finding.ts'
import { startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { missing, PYTHON, startServer } from './support.ts'

// A real uvicorn behind Causeway, which ends TLS. It believes loopback by itself, and nobody else: that is
// what apps in another container run into.

const skip = missing('uvicorn')
const ADVICE = /uvicorn: --forwarded-allow-ips \(or FORWARDED_ALLOW_IPS\)/

async function examine(t: Test, path: string, uvicorn: readonly string[]): Promise<readonly Finding[]> {
  const bound = ['--host', '127.0.0.1', '--port', '0', ...uvicorn]
  const pattern = /running on http:\/\/127\.0\.0\.1:(\d+)/
  const app = await startServer(t, [PYTHON, '-m', 'uvicorn', ...bound, 'scheme_app:app'], {}, pattern)
  const folder = t.testdir()
  const authority = new TestAuthority(folder)
  const { certificateFile, keyFile } = authority.issue({ names: ['localhost'] })
  const listener = `tls = { certificate = "${certificateFile}", key = "${keyFile}" }`
  const config = configText({ endpoints: [app.port], listener, upstream: 'server = "uvicorn"' })
  const causeway = await startCauseway(t, { config })
  const file = join(folder, 'causeway.toml')
  writeFileSync(file, config)
  const url = `https://localhost:${causeway.port()}${path}`
  return doctor(authority.file, ['doctor', url, '--config', file, '--json'])
}

async function doctor(authority: string, args: readonly string[]): Promise<readonly Finding[]> {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority }
  const child = spawn(process.execPath, ['cmd/causeway.ts', ...args], { env })
  let stdout = ''
  for await (const text of child.stdout.setEncoding('utf8')) stdout += text
  return (JSON.parse(stdout) as { readonly findings: readonly Finding[] }).findings
}

const serious = (findings: readonly Finding[], ...checks: readonly string[]) =>
  findings.filter(({ level, check }) => level !== 'ok' && checks.includes(check))

t.test('a server that does not believe Causeway is named, with its own setting', { skip }, async t => {
  const distrusting = ['--forwarded-allow-ips', '192.0.2.1']
  const page = serious(await examine(t, '/', distrusting), 'links', 'cookies')
  const told = new Map(page.map(finding => [finding.check, finding]))
  t.match(told.get('cookies'), { fix: ADVICE })
  const link = { level: 'problem', what: /http:\/\/localhost:\d+\/site\.css/, fix: ADVICE }
  t.match(told.get('links'), link)
  const redirect = serious(await examine(t, '/docs', distrusting), 'redirects', 'reachable')
  t.ok(
    redirect.some(({ fix }) => ADVICE.test(fix ?? '')),
    JSON.stringify(redirect),
  )
})

t.test('one that does is not', { skip }, async t => {
  for (const path of ['/', '/docs'])
    t.same(serious(await examine(t, path, []), 'links', 'cookies', 'redirects'), [], path)
})
