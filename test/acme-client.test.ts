import { execFileSync } from 'node:child_process'
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  verify,
  X509Certificate,
} from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Call, CallAnswer } from '../lib/acme/caller.ts'
import { Client } from '../lib/acme/client.ts'
import { readAuthorization, readOrder } from '../lib/acme/documents.ts'
import { boundTo, isAccountKey, publicJwk, type SignedText, signed, thumbprint } from '../lib/acme/jose.ts'
import { AcmeProblem } from '../lib/acme/problem.ts'
import {
  acmeIdentifier,
  certificateRequest,
  keyText,
  newEcKey,
  newKey,
  selfSigned,
} from '../lib/acme/x509.ts'

// What is signed and encoded for ACME servers, judged by OpenSSL. test/real/acme.test.ts has Pebble judge the
// whole.

const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { encoding: 'utf8' })
const decoded = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as unknown

t.test('a certificate request says one name, carries the key and is signed with it', async t => {
  for (const type of ['ecdsa', 'rsa'] as const) {
    const key = await newKey(type)
    const file = join(t.testdir(), 'request.der')
    writeFileSync(file, certificateRequest('www.site.test', key))
    const said = openssl('req', '-in', file, '-inform', 'DER', '-noout', '-text', '-verify', '-pubkey')
    t.match(said, /DNS:www\.site\.test\n/)
    t.match(said, /Subject: *\n/, 'the subject is empty')
    t.match(said, /Version: 1 \(0x0\)/)
    t.match(said, type === 'rsa' ? /sha256WithRSAEncryption/ : /ecdsa-with-SHA256/)
    t.ok(said.includes(createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()))
  }
})

t.test('the certificate of a TLS-ALPN-01 challenge has the digest, critical (RFC 8737 3)', async t => {
  const key = newEcKey()
  const extension = acmeIdentifier('token.thumbprint')
  const pem = selfSigned('www.site.test', key, { nowMs: Date.now(), days: 1 }, extension)
  const certificate = new X509Certificate(pem)
  t.ok(certificate.verify(createPublicKey(key)))
  t.equal(certificate.subjectAltName, 'DNS:www.site.test')
  const file = join(t.testdir(), 'challenge.pem')
  writeFileSync(file, pem)
  const digest = execFileSync('openssl', ['dgst', '-sha256', '-r'], { input: 'token.thumbprint' })
  const hex = digest.toString('latin1').slice(0, 64).toUpperCase()
  const said = openssl('asn1parse', '-in', file)
  const [, tail = ''] = said.split('1.3.6.1.5.5.7.1.31')
  t.match(tail, /^\n.*BOOLEAN +:255\n.*OCTET STRING +\[HEX DUMP\]:0420/)
  t.ok(tail.includes(`0420${hex}`))
})

t.test('a signature is of the kind that the key has, and holds', async t => {
  const keys: readonly (readonly [string, string, KeyObject])[] = [
    ['ES256', 'sha256', newEcKey()],
    ['ES384', 'sha384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ['ES512', 'sha512', generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey],
    ['RS256', 'sha256', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
  ]
  for (const [alg, digest, key] of keys) {
    const text = signed(key, { nonce: 'n', url: 'https://ca.test/x' }, { a: 'ü' })
    t.same(decoded(text.protected), { alg, nonce: 'n', url: 'https://ca.test/x' })
    t.same(decoded(text.payload), { a: 'ü' })
    const bytes = Buffer.from(`${text.protected}.${text.payload}`)
    const seal = { key: createPublicKey(key), dsaEncoding: 'ieee-p1363' } as const
    t.ok(verify(digest, bytes, seal, Buffer.from(text.signature, 'base64url')), alg)
  }
  t.equal(signed(newEcKey(), {}, undefined).payload, '', 'a question has no payload (RFC 8555 6.3)')
  t.notOk(isAccountKey(keyText(generateKeyPairSync('ed25519').privateKey)), 'servers need not know others')
  t.ok(isAccountKey(keyText(newEcKey())))
})

t.test('the thumbprint of a key is that of RFC 7638 3.1', async t => {
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
  const key = createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' })
  t.equal(thumbprint(publicJwk(key)), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

t.test('an account is bound to another by its key, signed with the secret (RFC 8555 7.3.4)', async t => {
  const jwk = publicJwk(newEcKey())
  for (const hmacKey of ['c2VjcmV0-_c', 'c2VjcmV0+/c=']) {
    const text = boundTo({ keyId: 'kid-1', hmacKey }, 'https://ca.test/new', jwk)
    t.same(decoded(text.protected), { alg: 'HS256', kid: 'kid-1', url: 'https://ca.test/new' })
    t.same(decoded(text.payload), jwk)
    const seal = createHmac('sha256', Buffer.from('c2VjcmV0+/c=', 'base64'))
    t.equal(text.signature, seal.update(`${text.protected}.${text.payload}`).digest('base64url'))
  }
})

const asIs = (error: unknown) => error

/** A server that answers as it is told, and remembers what it was asked. */
function scripted(answers: readonly Partial<CallAnswer & { refused: boolean }>[]) {
  const asked: (Call & { readonly header: Record<string, unknown> })[] = []
  const caller = {
    nonceRefused: false,
    async call(call: Call): Promise<CallAnswer> {
      if (call.method === 'HEAD') return { status: 200, headers: { 'replay-nonce': 'fresh' }, text: '' }
      const text = JSON.parse(call.body ?? '') as SignedText
      asked.push({ ...call, header: decoded(text.protected) as Record<string, unknown> })
      const { refused = false, ...answer } = answers[Math.min(asked.length, answers.length) - 1] ?? {}
      caller.nonceRefused = refused
      return { status: 200, headers: {}, text: '{}', ...answer }
    },
  }
  const directory = { newNonce: 'https://ca.test/nonce', newOrder: 'https://ca.test/order' }
  const key = keyText(newEcKey())
  return {
    client: new Client({ caller, key, directory: async () => directory }, 'https://ca.test/me'),
    asked,
  }
}

t.test(
  'a nonce is used once; that of the answer before, or of the refusal, is next (RFC 8555 6.5)',
  async t => {
    const pending = '{"status":"pending","identifier":{"value":"a.test"},"challenges":[]}'
    const { client, asked } = scripted([
      { headers: { 'replay-nonce': 'two' }, text: pending },
      { headers: { 'replay-nonce': 'three' }, refused: true },
      { text: pending },
      { text: pending },
    ])
    for (let i = 0; i < 3; i += 1) await client.authorization('https://ca.test/authz')
    t.same(
      asked.map(({ header }) => header['nonce']),
      ['fresh', 'two', 'three', 'fresh'],
    )
    t.match(asked[0], { url: 'https://ca.test/authz', header: { kid: 'https://ca.test/me' } })
  },
)

t.test('a server that refuses every nonce ends the order, and not never', async t => {
  const { client, asked } = scripted([{ refused: true, headers: { 'replay-nonce': 'again' } }])
  t.match(await client.authorization('https://ca.test/authz').catch(asIs), { kind: 'badNonce' })
  t.ok(asked.length > 20, 'a server that refuses three of four is no reason to give up')
})

t.test('answers that make no sense are problems, not crashes', async t => {
  const located = { headers: { location: 'https://ca.test/order/1' } }
  for (const answer of [
    { ...located, text: 'x' },
    { ...located, text: '[]' },
    { text: '{"status":"ready"}' },
  ])
    await t.rejects(scripted([answer]).client.createOrder('a.test'), AcmeProblem)
  t.match(await scripted([{}]).client.createAccount([], undefined).catch(asIs), { kind: 'noDirectory' })
  for (const text of ['null', '{"status":"valid"}', '{"status":"valid","identifier":null,"challenges":[]}'])
    t.throws(() => readAuthorization('https://ca.test/a', text), AcmeProblem)
  const odd = '{"status":"pending","identifier":{"value":"a"},"challenges":[null,{"type":"new-01"},1]}'
  t.same(readAuthorization('https://ca.test/a', odd).challenges, [])
  t.throws(() => readOrder('https://ca.test/o', '{"status":1}'), AcmeProblem)
})
