import type { KeyPair } from '../base/key-pair.ts'
import type { AcmeChallenge } from '../config/tls-model.ts'
import type { Advice, RenewalWindow } from './renewal-info.ts'

/**
 * What is remembered of a name beside its certificate, also over a restart. Times are milliseconds since
 * 1970.
 */
export interface NameRecord {
  /**
   * Where the certificate comes from; one from elsewhere is replaced. undefined: an operator has put it
   * there, and it may stay.
   */
  readonly directory: string | undefined
  /** End of the certificate that the rest is about: another one in its place starts anew. */
  readonly notAfterMs: number | undefined
  readonly renewAtMs: number | undefined
  /** What the issuer advised last, and when to ask again. */
  readonly window: RenewalWindow | undefined
  readonly askAtMs: number | undefined
  /** The challenge that went through last. */
  readonly challenge: AcmeChallenge | undefined
  /** Orders that failed since the last that did not. */
  readonly failures: number
  readonly nextTryMs: number | undefined
  readonly lastError: string | undefined
}

export const NEW_RECORD: NameRecord = {
  directory: undefined,
  notAfterMs: undefined,
  renewAtMs: undefined,
  window: undefined,
  askAtMs: undefined,
  challenge: undefined,
  failures: 0,
  nextTryMs: undefined,
  lastError: undefined,
}

/** What to do about a name. */
export type Step =
  | { readonly kind: 'order' }
  /** Ask the issuer when to renew. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'wait'; readonly untilMs: number }

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/**
 * After the first failed order, the second ... With two challenges tried at the first that is five an hour,
 * which Let's Encrypt allows.
 */
const RETRY_MS = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS]
const PATIENCE_MS = 6 * HOUR_MS
/** However long the server wants us to wait: somebody may have mended it. */
const MAX_RETRY_AFTER_MS = 7 * DAY_MS
/** RFC 9773 4.3: the time between two questions is the server's, within reason. */
const ASK_MS = { usual: 6 * HOUR_MS, min: MINUTE_MS, max: DAY_MS, afterTrouble: HOUR_MS }

/** Next thing to do for a name. Pure: all that it decides by is given. */
export function nextStep(
  record: NameRecord,
  pair: KeyPair | undefined,
  { directory, nowMs }: { readonly directory: string; readonly nowMs: number },
): Step {
  const dueMs = dueAt(record, pair, directory)
  const orderMs = Math.max(dueMs, record.nextTryMs ?? 0)
  if (orderMs <= nowMs) return { kind: 'order' }
  // While an order is due it would change nothing to hear when.
  const askMs = dueMs <= nowMs ? Number.POSITIVE_INFINITY : (record.askAtMs ?? 0)
  return askMs <= nowMs ? { kind: 'ask' } : { kind: 'wait', untilMs: Math.min(orderMs, askMs) }
}

/** The record of a certificate that is there, whoever put it there. */
export function recordOf(record: NameRecord, pair: KeyPair | undefined, random: () => number): NameRecord {
  if (pair === undefined || record.notAfterMs === pair.notAfterMs) return record
  const { notAfterMs } = pair
  return { ...record, notAfterMs, renewAtMs: ownTime(pair, random), window: undefined, askAtMs: undefined }
}

/** After a certificate came. The issuer is asked at once when it wants it renewed. */
export function afterIssue(
  pair: KeyPair,
  {
    nowMs,
    ...from
  }: { readonly directory: string; readonly challenge: AcmeChallenge; readonly nowMs: number },
  random: () => number,
): NameRecord {
  // Whatever is said of it, even by an issuer that is wrong about the time, there is no second order at once.
  const nextTryMs = nowMs + Math.min(HOUR_MS, lifeOf(pair) / 10)
  return recordOf({ ...NEW_RECORD, ...from, nextTryMs }, pair, random)
}

/**
 * After an order failed: later, and later each time, up to hours; the server's own wish counts where it is
 * longer.
 */
export function afterFailure(
  record: NameRecord,
  trouble: {
    readonly message: string
    readonly retryAfterMs: number | undefined
    readonly patience: boolean
  },
  { nowMs, random }: { readonly nowMs: number; readonly random: () => number },
): NameRecord {
  const usualMs = RETRY_MS[Math.min(record.failures, RETRY_MS.length - 1)] ?? PATIENCE_MS
  const wishMs = Math.min(trouble.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS)
  const delayMs = Math.max(trouble.patience ? PATIENCE_MS : usualMs, wishMs)
  return {
    ...record,
    failures: record.failures + 1,
    nextTryMs: Math.round(nowMs + delayMs * (1 + random() / 10)),
    lastError: trouble.message,
  }
}

/**
 * After the issuer said when (RFC 9773 4.2): a time inside the window, by chance, so that not all clients
 * come at once; kept as long as the window is the same. A window that is past, as for a revoked certificate,
 * means now; one beyond the certificate's end means nothing.
 */
export function afterAdvice(
  record: NameRecord,
  { window }: Advice,
  {
    nowMs,
    random,
    retryAfterMs,
  }: { readonly nowMs: number; readonly random: () => number; readonly retryAfterMs: number | undefined },
): NameRecord {
  const askMs = Math.min(Math.max(retryAfterMs ?? ASK_MS.usual, ASK_MS.min), ASK_MS.max)
  const asked = { ...record, askAtMs: nowMs + askMs }
  const same = record.window?.startMs === window.startMs && record.window.endMs === window.endMs
  if (same || window.startMs >= (record.notAfterMs ?? Number.POSITIVE_INFINITY)) return asked
  const renewAtMs = Math.round(window.startMs + random() * (window.endMs - window.startMs))
  return { ...asked, window, renewAtMs }
}

/**
 * After the issuer could not be asked, or says nothing of renewals (then the directory is looked at again in
 * a day).
 */
export function afterSilence(record: NameRecord, offered: boolean, nowMs: number): NameRecord {
  return { ...record, askAtMs: nowMs + (offered ? ASK_MS.afterTrouble : ASK_MS.max) }
}

/**
 * Challenges of the next order, in turn. The first order of a certificate tries all, and begins with what
 * went through last time; one after a failure tries one, so that a name which cannot be proved does not use
 * up what the issuer allows.
 */
export function challengesFor(
  record: NameRecord,
  preferred: readonly AcmeChallenge[],
): readonly AcmeChallenge[] {
  const { failures, challenge } = record
  if (failures > 0) return preferred.slice(failures % preferred.length).slice(0, 1)
  if (challenge === undefined || !preferred.includes(challenge)) return preferred
  return [challenge, ...preferred.filter(other => other !== challenge)]
}

/** When an order is due, whatever happened to the last. */
function dueAt(record: NameRecord, pair: KeyPair | undefined, directory: string): number {
  if (pair === undefined || (record.directory ?? directory) !== directory) return 0
  // Whatever was advised, not in its last hours.
  return Math.min(record.renewAtMs ?? 0, pair.notAfterMs - lifeOf(pair) / 20)
}

/** Without advice: when a third of its life is left, or up to a thirtieth more. */
function ownTime(pair: KeyPair, random: () => number): number {
  return Math.round(pair.notAfterMs - lifeOf(pair) / 3 - (random() * lifeOf(pair)) / 30)
}

function lifeOf({ notBeforeMs, notAfterMs }: KeyPair): number {
  return notAfterMs - notBeforeMs
}
