import type { Clock } from '../base/clock.ts'
import { type KeyPair, keyPairOf } from '../base/key-pair.ts'
import type { AcmeChallenge, AcmeConfig } from '../config/tls-model.ts'
import type { ChallengeBoard, Proof } from './challenge-board.ts'
import type { Authorization, Challenge, Order } from './documents.ts'
import { AcmeProblem, type Occasion, readProblem } from './problem.ts'
import type { Session } from './session.ts'
import { acmeIdentifier, certificateRequest, keyText, newEcKey, newKey, selfSigned } from './x509.ts'

export interface IssuanceParts {
  readonly session: Session
  readonly board: ChallengeBoard
  readonly clock: Clock
  readonly keyType: AcmeConfig['keyType']
  pause(delayMs: number): Promise<void>
}

/** From the start of a challenge, or of the signing, to its end. */
const PATIENCE_MS = 120_000
/** Between two looks, unless the server names a time; each look doubles it. */
const LOOK_MS = { first: 250, max: 5000 }

/**
 * Orders a certificate for one name (RFC 8555 7.4), proving it by one kind of challenge. `replaces`: RFC 9773
 * 5. Throws AcmeProblem.
 */
export async function issue(
  name: string,
  challenge: AcmeChallenge,
  replaces: string | undefined,
  parts: IssuanceParts,
): Promise<KeyPair> {
  const { session } = parts
  const order = await newOrder(session, name, replaces)
  for (const url of order.authorizations)
    await prove(await session.ask(client => client.authorization(url)), challenge, parts)
  const ready = await settled(parts, order, 'pending')
  const { key, finalized } = await finalize(ready, name, parts)
  const done = await settled(parts, finalized, 'processing')
  const url = done.certificate
  if (done.status !== 'valid' || url === undefined) throw orderProblem(done)
  const certificate = await session.ask(client => client.certificate(url))
  return checked(name, certificate, key, parts.clock.wall())
}

/**
 * Without `replaces` once more where the server does not like it: it is a courtesy, and must not stand in the
 * way.
 */
async function newOrder(session: Session, name: string, replaces: string | undefined): Promise<Order> {
  if (replaces === undefined) return session.ask(client => client.createOrder(name))
  try {
    return await session.ask(client => client.createOrder(name, replaces))
  } catch (error) {
    if (!(error instanceof AcmeProblem) || !['alreadyReplaced', 'malformed'].includes(error.kind)) throw error
    return session.ask(client => client.createOrder(name))
  }
}

async function prove(authorization: Authorization, kind: AcmeChallenge, parts: IssuanceParts): Promise<void> {
  if (authorization.status === 'valid') return
  const challenge = authorization.challenges.find(({ type }) => type === kind)
  const { name } = authorization
  if (challenge === undefined)
    throw problem(`the server offers no ${kind} challenge for ${name}`, 'notOffered', 'challenge')
  const proof = await proofOf(challenge, authorization, kind, parts)
  await parts.board.during(proof, async () => {
    await parts.session.ask(client => client.answer(challenge))
    await untilProved(authorization, kind, parts)
  })
}

async function untilProved(
  authorization: Authorization,
  kind: AcmeChallenge,
  parts: IssuanceParts,
): Promise<void> {
  await looking(parts, `the ${kind} challenge`, async () => {
    const now = await parts.session.ask(client => client.authorization(authorization.url))
    if (now.status === 'pending') return undefined
    if (now.status === 'valid') return now
    const tried = now.challenges.find(({ type }) => type === kind)
    const fallback = `the ${kind} challenge ended as ${now.status}`
    throw readProblem(tried?.error, fallback, { occasion: 'challenge' })
  })
}

async function proofOf(
  challenge: Challenge,
  { name }: Authorization,
  kind: AcmeChallenge,
  { session, clock }: IssuanceParts,
): Promise<Proof> {
  const { token } = challenge
  const keyAuthorization = await session.ask(async client => client.keyAuthorization(challenge))
  if (kind === 'http-01') return { kind, token, keyAuthorization }
  const key = newEcKey()
  const life = { nowMs: clock.wall(), days: 1 }
  const pair = keyPairOf(selfSigned(name, key, life, acmeIdentifier(keyAuthorization)), keyText(key))
  if ('fault' in pair)
    throw problem(`the certificate of the challenge ${pair.fault}`, 'internal', 'challenge')
  return { kind, pair }
}

async function finalize(order: Order, name: string, { session, keyType }: IssuanceParts) {
  if (order.status !== 'ready') throw orderProblem(order)
  const key = await newKey(keyType)
  const request = certificateRequest(name, key)
  const finalized = await session.ask(client => client.finalize(order, request))
  return { key: keyText(key), finalized }
}

/** The order once it is in another state than this one. */
async function settled(parts: IssuanceParts, order: Order, state: string): Promise<Order> {
  if (order.status !== state) return order
  return looking(parts, 'the order', async () => {
    const now = await parts.session.ask(client => client.order(order))
    return now.status === state ? undefined : now
  })
}

/** Looks until there is something to see, as often as the server likes (RFC 8555 7.5.1). */
async function looking<T>(
  parts: IssuanceParts,
  what: string,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const endMs = parts.clock.now() + PATIENCE_MS
  for (let usualMs = LOOK_MS.first; ; usualMs = Math.min(usualMs * 2, LOOK_MS.max)) {
    const seen = await look()
    if (seen !== undefined) return seen
    const delayMs = Math.max(parts.session.retryAfterMs ?? 0, usualMs)
    if (parts.clock.now() + delayMs > endMs)
      throw problem(`${what} was not completed within ${PATIENCE_MS / 1000} s`, 'slow', 'request')
    await parts.pause(delayMs)
  }
}

/** No certificate goes into service that a client would not take. */
function checked(name: string, certificate: string, key: string, nowMs: number): KeyPair {
  const pair = keyPairOf(certificate, key)
  if ('fault' in pair)
    throw problem(`the certificate from the server ${pair.fault}`, 'badCertificate', 'request')
  if (!pair.names.includes(name) || pair.notAfterMs <= nowMs)
    throw problem('the server issued a certificate for another name or key', 'badCertificate', 'request')
  return pair
}

function orderProblem({ error, status }: Order): AcmeProblem {
  return readProblem(error, `the order ended as ${status}`, { occasion: 'challenge' })
}

function problem(message: string, kind: string, occasion: Occasion): AcmeProblem {
  return new AcmeProblem(message, { kind, occasion })
}
