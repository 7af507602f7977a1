import { join } from 'node:path'
import t from 'tap'
import type { KeyPair } from '../lib/base/key-pair.ts'
import { keyPairOf, readAuthorities, readKeyPair } from '../lib/base/key-pair.ts'
import { pairsFor } from '../lib/front/tls/tls-contexts.ts'
import { TestAuthority } from './support/certificates.ts'

const folder = t.testdir({ 'nothing.pem': 'nothing' })
const ca = new TestAuthority(folder)

function pair(...names: string[]): KeyPair {
  return { names, certificate: names.join(), key: '', keyType: 'ec', notBeforeMs: 0, notAfterMs: 0 }
}

t.test('a name is found exactly, else below a star, else the first is shown', async t => {
  const [plain, star, deep] = [pair('a.test', 'b.test'), pair('*.a.test'), pair('www.a.test')] as const
  const all = [plain, star, deep]
  t.same(pairsFor('a.test', all), [plain])
  t.same(pairsFor('b.test', all), [plain])
  t.same(pairsFor('www.a.test', all), [deep], 'the exact one before the star')
  t.same(pairsFor('ftp.a.test', all), [star])
  t.same(pairsFor('x.ftp.a.test', all), [plain], 'a star is one label')
  t.same(pairsFor('c.test', all), [plain])
  t.same(pairsFor(undefined, all), [plain])
  t.same(pairsFor('test', all), [plain])
  t.same(pairsFor('a.test', []), [])
})

t.test('all certificates for a name count: one for RSA, one for ECDSA', async t => {
  const [ec, other] = [pair('a.test', 'b.test'), pair('a.test')] as const
  const rsa = { ...ec, keyType: 'rsa' }
  t.same(pairsFor('a.test', [ec, rsa, other]), [ec, rsa], 'of each kind the first: OpenSSL takes no second')
  t.same(pairsFor('a.test', [other, rsa, ec]), [other, rsa])
  t.same(pairsFor('b.test', [ec, rsa, other]), [ec, rsa])
  t.same(pairsFor('unknown', [ec, rsa, other]), [ec, rsa], 'those with the names of the first')
})

t.test('a pair is read with its names, kind of key and term', async t => {
  const made = ca.issue({ names: ['Site.test', '*.site.test', '127.0.0.1'], keyType: 'rsa' })
  const read = readKeyPair({ certificate: made.certificateFile, key: made.keyFile })
  if ('fault' in read) throw new Error(read.fault)
  t.same(read.names, ['site.test', '*.site.test', '127.0.0.1'])
  t.equal(read.keyType, 'rsa')
  t.ok(read.notBeforeMs < Date.now() && read.notAfterMs > Date.now())
})

t.test('what is wrong with files is said, and of which', async t => {
  const [one, two] = [ca.issue({ names: ['one.test'] }), ca.issue({ names: ['two.test'] })]
  const nothing = join(folder, 'nothing.pem')
  const fault = (certificate: string, key: string) => {
    const reading = readKeyPair({ certificate, key })
    return 'fault' in reading ? `${reading.file} ${reading.fault}` : 'good'
  }
  t.equal(fault(one.certificateFile, one.keyFile), 'good')
  t.equal(fault(one.certificateFile, two.keyFile), 'key is not the key of the certificate')
  t.equal(fault(nothing, one.keyFile), 'certificate contains no certificate')
  t.equal(fault(one.certificateFile, nothing), 'key contains no readable private key')
  t.equal(fault(one.keyFile, one.certificateFile), 'certificate contains no certificate')
  t.equal(fault('/nowhere.pem', one.keyFile), 'certificate cannot be read: there is no such file')
  const chain = keyPairOf(ca.certificate + one.certificate, one.key)
  t.match(
    chain,
    { file: 'key', fault: 'is not the key of the certificate' },
    'the own certificate comes first',
  )
  t.notOk('fault' in keyPairOf(one.certificate + ca.certificate, one.key))
  t.match(readAuthorities(nothing), { fault: 'contains no certificate' })
  t.match(readAuthorities(ca.file), { text: /BEGIN CERTIFICATE/ })
})
