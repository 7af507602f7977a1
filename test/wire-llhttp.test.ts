import fc from 'fast-check'
import t from 'tap'
import type { ChunkDetail } from '../lib/wire/chunked.ts'
import type { RequestDetail } from '../lib/wire/refusal.ts'
import { type ParsedRequest, parseRequestHead } from '../lib/wire/request-head.ts'
import { LLHTTP_METHODS, type Reading, readByLlhttp } from './support/llhttp.ts'
import { chunkedBody, mutated, noisyFraming, requestHead } from './support/wire-arbitraries.ts'
import { decoded, detailOf, LIMITS, pieceByPiece } from './support/wire-vectors.ts'

// Generated requests, read by us and by llhttp. What llhttp refuses we refuse; where we refuse more, the
// reason stands in one of the two lists; what both take, both read alike. fast-check prints seed and path of
// a failure; WIRE_SEED tries another seed.

const { WIRE_SEED } = process.env
const SEED = Number(WIRE_SEED ?? 20_261_122)
const HEADS = 6000
const BODIES = 3000

/** Why we refuse requests that llhttp takes. */
const STRICTER: Partial<Record<RequestDetail, string>> = {
  'empty-lines': 'llhttp skips every CR and LF; RFC 9112 2.2 asks for at least one CRLF',
  'request-line': 'llhttp skips spaces before the target',
  'target-character': 'fragments, bytes above 127 and backslashes split what two readers see',
  'target-form': 'llhttp does not look at the form',
  'target-percent': 'llhttp does not decode; a NUL or half an escape is for no app',
  version: 'llhttp takes HTTP/0.9, even with a LF alone',
  'version-unsupported': 'llhttp takes HTTP/2.0 as a version of HTTP/1 messages',
  connect: 'we are no forward proxy',
  trace: 'it would show our own fields',
  'te-http10': 'RFC 9112 6.1: a sign of a broken or hostile sender',
  'te-repeated': 'llhttp looks at the last coding only',
  'te-value': 'llhttp takes every list that ends in chunked',
  'te-unknown': 'RFC 9112 6.1: 501',
  'host-missing': 'left to node:http by llhttp',
  'host-repeated': 'left to node:http by llhttp',
  'host-value': 'llhttp does not look at it',
  'host-differs': 'llhttp does not look at it',
  connection: 'llhttp skips what is no token',
  expect: 'left to node:http by llhttp',
  'cl-value': 'llhttp takes lengths up to 2^64',
}

/** The same for chunked bodies. */
const STRICTER_CHUNKS: Partial<Record<ChunkDetail, string>> = {
  'chunk-extension': 'llhttp takes an empty name or value',
  'chunk-size': 'llhttp takes any number of leading zeros',
}

/** What only RTSP has, llhttp takes with `RTSP/1.0` only. */
const RTSP_METHODS: ReadonlySet<string> = new Set(['DESCRIBE', 'SETUP', 'PLAY', 'RECORD'])

/**
 * Methods that llhttp does not know, or only for RTSP, are its own limit: RFC 9110 9.1 leaves the list open.
 */
function isOwnLimit({ error }: Reading, { method }: ParsedRequest): boolean {
  if (error === 'HPE_INVALID_METHOD') return !LLHTTP_METHODS.has(method)
  return error === 'HPE_INVALID_CONSTANT' && RTSP_METHODS.has(method)
}

/** A body that fits the framing we found, so that llhttp shows which one it found. */
function bodyFor(head: ParsedRequest): string {
  if (head.framing === 'chunked') return '3\r\nabc\r\n0\r\n\r\n'
  return 'x'.repeat(head.contentLength)
}

function fieldsOf(head: ParsedRequest): string[] {
  const out: string[] = []
  for (let i = 0; i < head.fields.count; i += 1) out.push(head.fields.name(i), head.fields.value(i))
  return out
}

const seen = { both: 0, neither: 0, stricter: new Map<string, number>() }

function compareHead(text: string): void {
  const ours = parseRequestHead(text, LIMITS)
  const whole = readByLlhttp(text)
  if (ours === undefined) {
    if (whole.headEnd !== undefined) throw new Error('llhttp has a head, we wait for more')
    return
  }
  if ('refused' in ours) {
    if (whole.error !== undefined || whole.headEnd === undefined) seen.neither += 1
    else if (STRICTER[ours.detail as RequestDetail] === undefined)
      throw new Error(`we alone refuse: ${ours.detail}`)
    else seen.stricter.set(ours.detail, (seen.stricter.get(ours.detail) ?? 0) + 1)
    return
  }
  const theirs = readByLlhttp(text.slice(0, ours.size) + (ours.contentLength > 100 ? '' : bodyFor(ours)))
  if (theirs.error !== undefined) {
    if (!isOwnLimit(theirs, ours)) throw new Error(`llhttp alone refuses: ${theirs.error}`)
    return
  }
  seen.both += 1
  compareTaken(ours, theirs)
}

function compareTaken(ours: ParsedRequest, theirs: Reading): void {
  const trimmed = theirs.fields.map(text => text.replace(/[ \t]+$/, ''))
  same('size', ours.size, theirs.headEnd)
  same('method', ours.method, theirs.method)
  same('fields', fieldsOf(ours).join('\n'), trimmed.join('\n'))
  same('target', ours.target, originForm(theirs))
  if (ours.contentLength > 100) return same('end', undefined, theirs.end)
  same('body', ours.framing === 'chunked' ? 'abc' : bodyFor(ours), theirs.body)
  same('end', ours.size + bodyFor(ours).length, theirs.end)
}

/** RFC 9112 3.2.2 and 3.2.4, said in another way than the parser says it. */
function originForm({ method, target }: Reading): string {
  const rest = target.replace(/^https?:\/\/[^/?]*/i, '')
  if (rest === '' && method === 'OPTIONS') return '*'
  return rest === target || rest.startsWith('/') ? rest : `/${rest}`
}

function same(what: string, ours: unknown, theirs: unknown): void {
  if (ours !== theirs) throw new Error(`${what}: ${JSON.stringify(ours)}, llhttp: ${JSON.stringify(theirs)}`)
}

/** Runs `check` on every generated text; a failure says seed, path and the shrunk text. */
function everyText(texts: fc.Arbitrary<string>, numRuns: number, check: (text: string) => void): void {
  fc.assert(fc.property(texts, check), { seed: SEED, numRuns })
}

t.test('request heads: never laxer than llhttp, stricter only where named, read alike', async t => {
  everyText(mutated(requestHead), HEADS, compareHead)
  t.comment(
    `${seen.both} taken by both, ${seen.neither} by neither, refused by us alone:`,
    Object.fromEntries(seen.stricter),
  )
  t.ok(seen.both > HEADS / 10 && seen.neither > HEADS / 10, 'the generator reaches both sides')
})

t.test('request heads end the same way in pieces as in one', async () => {
  everyText(mutated(requestHead), 1000, text => {
    const whole = detailOf(text)
    const pieces = pieceByPiece(text, detailOf)
    same('outcome', pieces, whole)
  })
})

t.test('random bytes around framing fields never throw, and llhttp agrees', async () => {
  everyText(noisyFraming, 1500, compareHead)
})

t.test('chunked bodies: never laxer than llhttp, stricter only where named, read alike', async t => {
  const start = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
  const stricter: Record<string, number> = {}
  let both = 0
  everyText(mutated(chunkedBody), BODIES, body => {
    const theirs = readByLlhttp(start + body)
    const ours = decoded(body)
    if (ours.detail === 'ok') {
      same('error', undefined, theirs.error)
      same('data', ours.data, theirs.body)
      same('end', start.length + body.length - ours.surplus, theirs.end)
      both += 1
    } else if (ours.detail === 'more') {
      same('error', undefined, theirs.error)
      same('end', undefined, theirs.end)
    } else if (theirs.error === undefined && theirs.end !== undefined) {
      same('named', STRICTER_CHUNKS[ours.detail] === undefined ? ours.detail : 'named', 'named')
      stricter[ours.detail] = (stricter[ours.detail] ?? 0) + 1
    }
    for (const size of [1, 3]) same('in pieces', JSON.stringify(decoded(body, size)), JSON.stringify(ours))
  })
  t.ok(both > BODIES / 20, 'the generator makes good bodies')
  t.comment('refused by us alone:', stricter)
})
