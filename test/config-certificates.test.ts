import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { lifeTrouble } from '../lib/base/certificate-life.ts'
import { loadConfig } from '../lib/config/load.ts'
import { type CertificateWish, TestAuthority } from './support/certificates.ts'

// What `check`, and a log line at the start, say of certificates that are no fault of the files: all of these
// configurations are taken.

async function warningsFor(
  t: Test,
  wishes: readonly CertificateWish[],
  hosts: readonly string[],
): Promise<string[]> {
  const folder = t.testdir()
  const authority = new TestAuthority(folder)
  const tables = wishes.map(wish => {
    const { certificateFile, keyFile } = authority.issue(wish)
    return `{ certificate = "${certificateFile}", key = "${keyFile}" }`
  })
  const path = join(folder, 'causeway.toml')
  writeFileSync(
    path,
    `
[listeners.web]
address = "127.0.0.1:0"
tls = [${tables.join(', ')}]
[upstreams.app]
endpoints = ["127.0.0.1:8000"]
[routes.app]
hosts = ${JSON.stringify(hosts)}
upstream = "app"
`,
  )
  const loaded = await loadConfig(path, {})
  t.ok(loaded.ok, 'it is taken')
  return loaded.ok ? loaded.warnings.map(({ message }) => message.replace(/^\S+\/(?=\d)/, '')) : []
}

t.test('a certificate that has expired, or is not valid yet, is a warning', async t => {
  const expired = await warningsFor(t, [{ names: ['old.example'], valid: 'expired' }], [])
  t.match(expired, [/^1\.pem expired on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/])
  t.equal(expired.length, 1)
  const early = await warningsFor(t, [{ names: ['new.example'], valid: 'not-yet' }], [])
  t.match(early, [/^1\.pem is not valid before \d{4}-/])
})

t.test('a certificate that is good says nothing, one that ends soon says when', async t => {
  const day = 86_400_000
  const life = { notBeforeMs: 0, notAfterMs: 100 * day }
  t.equal(lifeTrouble(life, 80 * day), undefined)
  t.equal(lifeTrouble(life, 86 * day), undefined)
  t.equal(lifeTrouble(life, 86 * day + 1), 'expires in 13 days')
  t.equal(lifeTrouble(life, 98.5 * day), 'expires in 1 day')
  t.equal(lifeTrouble(life, 99.5 * day), 'expires within a day')
  t.match(lifeTrouble(life, 100 * day + 1), /^expired on 1970-04-11/)
})

t.test('a host of a route that no certificate covers is a warning, one that any is for is none', async t => {
  const certificates = [
    { names: ['example.com', '*.example.com'] },
    { names: ['other.example', '10.1.2.3'] },
  ] as const
  const hosts = ['example.com', 'www.example.com', 'other.example', '*.example.com', 'localhost', '10.1.2.3']
  t.same(await warningsFor(t, certificates, hosts), [])
  t.match(await warningsFor(t, certificates, ['a.b.example.com', 'www.other.example']), [
    'no certificate covers a.b.example.com: browsers will refuse it over https',
    'no certificate covers www.other.example: browsers will refuse it over https',
  ])
})
