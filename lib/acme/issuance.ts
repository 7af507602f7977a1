import type { Authorization, Client, Order } from 'acme-client'
import type { Clock } from '../base/clock.ts'
import { type KeyPair, keyPairOf } from '../base/key-pair.ts'
import type { AcmeChallenge, AcmeConfig } from '../config/tls-model.ts'
import type { ChallengeBoard, Proof } from './challenge-board.ts'
import { AcmeProblem, type Occasion, readProblem } from './problem.ts'
import type { Session } from './session.ts'

export interface IssuanceParts {
  readonly session: Session
  readonly board: ChallengeBoard
  readonly clock: Clock
  readonly keyType: AcmeConfig['keyType']
  pause(delayMs: number): Promise<void>
}

type OrderRequest = Parameters<Client['createOrder']>[0] & { readonly replaces?: string }
type OfferedChallenge = Authorization['challenges'][number]

/** From the start of a challenge, or of the signing, to its end. */
const PATIENCE_MS = 120_000
/** Between two looks, unless the server names a time; each look doubles it. */
const LOOK_MS = { first: 250, max: 5000 }

/** Orders a certificate for one name (RFC 8555 7.4), proving it by one kind of challenge. `replaces`: RFC 9773 5. Throws AcmeProblem. */
export async function issue(
  name: string,
  challenge: AcmeChallenge,
  replaces: string | undefined,
  parts: IssuanceParts,
): Promise<KeyPair> {
  const { session } = parts
  const order = await newOrder(session, name, replaces)
  const authorizations = await session.ask(client => client.getAuthorizations(order))
  for (const authorization of authorizations) await prove(authorization, challenge, parts)
  const ready = await settled(parts, order, 'pending')
  const { key, finalized } = await finalize(ready, name, parts)
  const done = await settled(parts, finalized, 'processing')
  if (done.status !== 'valid') throw orderProblem(done)
  const certificate = await session.ask(client => client.getCertificate(done))
  return checked(name, certificate, key, parts.clock.wall())
}

/** Without `replaces` once more where the server does not like it: it is a courtesy, and must not stand in the way. */
async function newOrder(session: Session, name: string, replaces: string | undefined): Promise<Order> {
  const plain = { identifiers: [{ type: 'dns', value: name }] }
  if (replaces === undefined) return session.ask(client => client.createOrder(plain))
  try {
    // The library passes on what it does not know.
    const order: OrderRequest = { ...plain, replaces }
    return await session.ask(client => client.createOrder(order))
  } catch (error) {
    if (!(error instanceof AcmeProblem) || !['alreadyReplaced', 'malformed'].includes(error.kind)) throw error
    return session.ask(client => client.createOrder(plain))
  }
}

async function prove(authorization: Authorization, kind: AcmeChallenge, parts: IssuanceParts): Promise<void> {
  if (authorization.status === 'valid') return
  const challenge = authorization.challenges.find(({ type }) => type === kind)
  const name = authorization.identifier.value
  if (challenge === undefined)
    throw problem(`the server offers no ${kind} challenge for ${name}`, 'notOffered', 'challenge')
  const proof = await proofOf(challenge, authorization, kind, parts)
  await parts.board.during(proof, async () => {
    await parts.session.ask(client => client.completeChallenge(challenge))
    await untilProved(authorization, kind, parts)
  })
}

async function untilProved(
  authorization: Authorization,
  kind: AcmeChallenge,
  parts: IssuanceParts,
): Promise<void> {
  // What an order and an authorization have in common is all that the look needs: the library looks by `authorizations` of an order.
  const look = { authorizations: [authorization.url] } as Order
  await looking(parts, `the ${kind} challenge`, async () => {
    const [now] = await parts.session.ask(client => client.getAuthorizations(look))
    if (now === undefined || now.status === 'pending') return undefined
    if (now.status === 'valid') return now
    const tried = now.challenges.find(({ type }) => type === kind) as { readonly error?: unknown } | undefined
    const fallback = `the ${kind} challenge ended as ${now.status}`
    throw readProblem(tried?.error, fallback, { occasion: 'challenge' })
  })
}

async function proofOf(
  challenge: OfferedChallenge,
  authorization: Authorization,
  kind: AcmeChallenge,
  { session }: IssuanceParts,
): Promise<Proof> {
  return session.ask(async (client, { crypto }) => {
    const keyAuthorization = await client.getChallengeKeyAuthorization(challenge)
    if (kind === 'http-01') return { kind, token: challenge.token, keyAuthorization }
    const key = await crypto.createPrivateEcdsaKey()
    const [, certificate] = await crypto.createAlpnCertificate(authorization, keyAuthorization, key)
    const pair = keyPairOf(certificate.toString('latin1'), key.toString('latin1'))
    if ('fault' in pair)
      throw problem(`the certificate of the challenge ${pair.fault}`, 'internal', 'challenge')
    return { kind, pair }
  })
}

async function finalize(order: Order, name: string, { session, keyType }: IssuanceParts) {
  if (order.status !== 'ready') throw orderProblem(order)
  return session.ask(async (client, { crypto }) => {
    const key = await (keyType === 'rsa' ? crypto.createPrivateRsaKey() : crypto.createPrivateEcdsaKey())
    const [, request] = await crypto.createCsr({ altNames: [name] }, key)
    return { key: key.toString('latin1'), finalized: await client.finalizeOrder(order, request) }
  })
}

/** The order once it is in another state than this one. */
async function settled(parts: IssuanceParts, order: Order, state: Order['status']): Promise<Order> {
  if (order.status !== state) return order
  return looking(parts, 'the order', async () => {
    const now = await parts.session.ask(client => client.getOrder(order))
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
      throw problem(`${what} has not ended within ${PATIENCE_MS / 1000} s`, 'slow', 'request')
    await parts.pause(delayMs)
  }
}

/** No certificate goes into service that a client would not take. */
function checked(name: string, certificate: string, key: string, nowMs: number): KeyPair {
  const pair = keyPairOf(certificate, key)
  if ('fault' in pair) throw problem(`what the server gave ${pair.fault}`, 'badCertificate', 'request')
  if (!pair.names.includes(name) || pair.notAfterMs <= nowMs)
    throw problem('the server gave a certificate for something else', 'badCertificate', 'request')
  return pair
}

function orderProblem(order: Order): AcmeProblem {
  const { error, status } = order as Order & { readonly error?: unknown }
  return readProblem(error, `the order ended as ${status}`, { occasion: 'challenge' })
}

function problem(message: string, kind: string, occasion: Occasion): AcmeProblem {
  return new AcmeProblem(message, { kind, occasion })
}
