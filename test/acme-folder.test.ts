import { spawnSync } from 'node:child_process'
import { randomUUID, X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readElements } from '../lib/acme/der.ts'
import { FolderLock } from '../lib/acme/folder-lock.ts'
import { NEW_RECORD } from '../lib/acme/plan.ts'
import { readRecord, recordText } from '../lib/acme/record-file.ts'
import { certificateId, readAdvice } from '../lib/acme/renewal-info.ts'
import { makeStandIn, STAND_IN_NAME } from '../lib/acme/stand-in.ts'
import { AcmeStore, type StoreNews } from '../lib/acme/store.ts'
import type { KeyPair } from '../lib/base/key-pair.ts'
import { BROKEN_FORMS } from './support/broken-file.ts'
import { TestAuthority } from './support/certificates.ts'

// What is kept in the folder of accounts and certificates, and how it is read after crashes, by hand or by
// others.

const NOW_MS = Date.UTC(2026, 10, 27)
const NAME = 'site.test'
const authority = new TestAuthority(t.testdir())

function pairFor(name: string): KeyPair {
  const { certificate, key } = authority.issue({ names: [name] })
  return { names: [name], certificate, key, keyType: 'ec', notBeforeMs: 0, notAfterMs: 0 }
}

function open(t: Test): { readonly store: AcmeStore; readonly folder: string; readonly news: StoreNews[] } {
  const folder = join(t.testdir(), 'deep', 'acme')
  const news: StoreNews[] = []
  const store = new AcmeStore(
    folder,
    () => NOW_MS,
    one => news.push(one),
  )
  t.equal(store.open(), undefined)
  return { store, folder, news }
}

t.test('what was written is read again, and nobody else may read it', async t => {
  const { store, folder, news } = open(t)
  const pair = pairFor(NAME)
  store.writePair(NAME, pair)
  store.writeRecord(NAME, { ...NEW_RECORD, failures: 3, nextTryMs: NOW_MS })
  const account = {
    directory: 'https://a.test/',
    url: 'https://a.test/1',
    key: 'k',
    email: undefined,
    keyId: 'id',
  }
  store.writeAccount(account)
  t.match(store.readPair(NAME), { certificate: pair.certificate, key: pair.key, names: [NAME] })
  t.match(store.readRecord(NAME), { failures: 3, nextTryMs: NOW_MS })
  t.same(store.readAccount(), account)
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    t.equal(statSync(join(folder, file)).mode & 0o077, 0, file)
  t.same(readdirSync(join(folder, NAME)).sort(), ['certificate.pem', 'key.pem', 'state.json'], 'no drafts')
  t.same(news, [])
})

t.test('a crash between the new certificate and its key loses neither the old pair nor the new', async t => {
  const { store, folder } = open(t)
  const [old, next] = [pairFor(NAME), pairFor(NAME)]
  store.writePair(NAME, old)
  writeFileSync(join(folder, NAME, 'key.next.pem'), next.key)
  t.equal(store.readPair(NAME)?.certificate, old.certificate, 'before the certificate')
  writeFileSync(join(folder, NAME, 'certificate.pem'), next.certificate)
  t.equal(store.readPair(NAME)?.key, next.key, 'before the name of the key')
  t.notOk(existsSync(join(folder, NAME, 'key.next.pem')), 'it is finished then')
  t.equal(store.readPair(NAME)?.key, next.key)
})

t.test('files that are not good are told, and are as if they were not there', async t => {
  const { store, folder, news } = open(t)
  t.equal(store.readPair(NAME), undefined)
  t.same(news, [], 'nothing is wrong with an empty folder')
  store.writePair(NAME, { ...pairFor(NAME), key: pairFor(NAME).key })
  t.equal(store.readPair(NAME), undefined)
  t.match(news.pop(), { file: join(folder, NAME, 'key.pem'), what: 'is not the key of the certificate' })
  store.writePair(NAME, pairFor('other.test'))
  t.equal(store.readPair(NAME), undefined)
  t.match(news.pop(), { file: join(folder, NAME, 'certificate.pem'), what: 'is for other.test' })
  for (const text of ['', '{', '[]', 'null', '{"url":1}']) {
    writeFileSync(join(folder, 'account.json'), text)
    writeFileSync(join(folder, NAME, 'state.json'), text)
    t.equal(store.readAccount(), undefined, text)
    t.same(store.readRecord(NAME), NEW_RECORD, text)
  }
})

t.test('rights that are too wide are taken away and told; a folder that is none is an error', async t => {
  const { store, folder, news } = open(t)
  store.writePair(NAME, pairFor(NAME))
  chmodSync(join(folder, NAME), 0o755)
  chmodSync(join(folder, NAME, 'key.pem'), 0o640)
  t.equal(store.open(), undefined)
  t.equal(statSync(join(folder, NAME)).mode & 0o777, 0o700)
  t.equal(statSync(join(folder, NAME, 'key.pem')).mode & 0o777, 0o600)
  t.match(news, [{ what: /0755.*which is now fixed/ }, { file: /key\.pem$/, what: /0640/ }])
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'a file')
  t.match(store.open(), { what: /./, hint: /./ })
})

t.test(
  'what a crash has left half written is cleared away, but not what another process is writing',
  async t => {
    const { store, folder } = open(t)
    store.writePair(NAME, pairFor(NAME))
    const [old, young] = [
      join(folder, NAME, `.${randomUUID()}.draft`),
      join(folder, `.${randomUUID()}.draft`),
    ]
    for (const [draft, ageMs] of [
      [old, 3_700_000],
      [young, 60_000],
    ] as const) {
      writeFileSync(draft, '')
      utimesSync(draft, (NOW_MS - ageMs) / 1000, (NOW_MS - ageMs) / 1000)
    }
    t.equal(store.open(), undefined)
    t.notOk(existsSync(old))
    t.ok(existsSync(young))
  },
)

t.test('a record is dates and words for people, and comes back as it was', async t => {
  const record = {
    directory: 'https://acme.test/dir',
    notAfterMs: NOW_MS + 1,
    renewAtMs: NOW_MS + 2,
    window: { startMs: NOW_MS + 3, endMs: NOW_MS + 4 },
    askAtMs: NOW_MS + 5,
    challenge: 'http-01',
    failures: 1,
    nextTryMs: NOW_MS + 6,
    lastError: 'no',
  } as const
  t.same(readRecord(recordText(record)), record)
  t.match(recordText(record), /"renew_at": "2026-11-27T00:00:00.002Z"/)
  t.same(readRecord('{"failures":-1,"challenge":"dns-01","renew_at":5,"window":{"start":"x"}}'), NEW_RECORD)
})

t.test('one process at a time orders in a folder', async t => {
  const path = join(t.testdir(), 'lock')
  let nowMs = NOW_MS
  const ours = new FolderLock(path, 'ours', () => nowMs)
  /** As another process would have it: `pid` on `host`, seen last at `atMs`. */
  const held = (pid: number, host: string, atMs: number) =>
    writeFileSync(path, JSON.stringify({ id: 'theirs', pid, host, at: new Date(atMs).toISOString() }))
  t.ok(ours.take())
  t.ok(ours.take(), 'again')
  ours.release()
  t.notOk(existsSync(path))
  held(process.ppid, hostname(), nowMs)
  t.notOk(ours.take(), 'it runs')
  ours.release()
  ours.refresh()
  t.match(readFileSync(path, 'utf8'), 'theirs', 'and its lock is not ours to touch')
  held(1, 'elsewhere', nowMs - 240_000)
  t.notOk(ours.take(), 'on another machine, not long ago')
  nowMs += 120_000
  t.ok(ours.take(), 'no sign of life for five minutes')
  nowMs += 240_000
  ours.refresh()
  t.match(readFileSync(path, 'utf8'), new Date(nowMs).toISOString(), 'signs of life are given')
  held(deadPid(), hostname(), nowMs)
  t.ok(ours.take(), 'its process has ended')
  held(process.pid, hostname(), nowMs)
  t.ok(ours.take(), 'its process had our number, as in a container that was started again')
  writeFileSync(path, 'torn')
  t.ok(ours.take(), 'nobody can read who has it')
})

t.test('a lock that cannot be written holds nobody up', async t => {
  const folder = t.testdir()
  mkdirSync(join(folder, 'lock', 'no-file'), { recursive: true })
  t.ok(new FolderLock(join(folder, 'lock'), 'ours', () => NOW_MS).take())
})

t.test('the stand-in is a certificate that OpenSSL takes, for a name that nobody has', async t => {
  const pair = makeStandIn(NOW_MS)
  const certificate = new X509Certificate(pair.certificate)
  t.same(pair.names, [STAND_IN_NAME])
  t.ok(certificate.verify(certificate.publicKey), 'signed by itself')
  t.ok(pair.notBeforeMs < NOW_MS && pair.notAfterMs > NOW_MS)
  const shown = spawnSync('openssl', ['x509', '-noout', '-text'], {
    input: pair.certificate,
    encoding: 'utf8',
  })
  t.equal(shown.status, 0)
  t.match(shown.stdout, `DNS:${STAND_IN_NAME}`)
  t.match(shown.stdout, 'Version: 3')
})

t.test('a certificate is named to its issuer by key identifier and serial number (RFC 9773 4.1)', async t => {
  // The example of the RFC's appendix A.
  const example = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----`
  t.equal(certificateId(example), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
  t.equal(certificateId(makeStandIn(NOW_MS).certificate), undefined, 'it does not say who issued it')
  t.equal(certificateId('no certificate'), undefined)
})

t.test('advice that makes no sense is none', async t => {
  const advice = (start: unknown, end: unknown) =>
    readAdvice(JSON.stringify({ suggestedWindow: { start, end } }))
  t.same(advice('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'), {
    window: { startMs: Date.UTC(2026, 0, 1), endMs: Date.UTC(2026, 0, 2) },
    explanation: undefined,
  })
  t.equal(advice('2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z'), undefined, 'the end comes first')
  t.equal(advice(5, 'soon'), undefined)
  for (const text of ['', 'null', '[]', '{}', '{"suggestedWindow":null}'])
    t.equal(readAdvice(text), undefined, text)
})

t.test('DER that is cut off is an error, not garbage', async t => {
  for (const bytes of [[0x30], [0x30, 5, 1], [0x30, 0x82, 1], [0x30, 0x82, 0xff, 0xff, 0]])
    t.throws(() => readElements(Buffer.from(bytes)), RangeError)
})

/** Of a process that was, and is no more. */
function deadPid(): number {
  return spawnSync('true').pid
}

for (const { name, put } of BROKEN_FORMS) {
  t.test(`a file of the folder that is found ${name} is as if it were not there`, async t => {
    const { store, folder } = open(t)
    const pair = pairFor(NAME)
    store.writePair(NAME, pair)
    store.writeRecord(NAME, { ...NEW_RECORD, failures: 3 })
    store.writeAccount({
      directory: 'https://a.test/',
      url: 'https://a.test/1',
      key: 'k',
      email: undefined,
      keyId: 'i',
    })
    t.ok(store.lock.take())
    const files = [
      'account.json',
      'lock',
      ...['certificate.pem', 'key.pem', 'state.json'].map(it => join(NAME, it)),
    ]
    for (const file of files) put(join(folder, file), readFileSync(join(folder, file), 'latin1'))
    t.equal(store.open(), undefined)
    t.equal(store.readPair(NAME), undefined)
    store.readAccount()
    store.readRecord(NAME)
    t.ok(store.lock.take())
    store.lock.refresh()
    store.lock.release()
  })
}
