import { X509Certificate } from 'node:crypto'
import type { KeyPair } from '../base/key-pair.ts'
import type { ServerLog } from '../base/server-log.ts'
import type { AcmeChallenge, AcmeConfig } from '../config/tls-model.ts'
import { type IssuanceParts, issue } from './issuance.ts'
import {
  afterAdvice,
  afterFailure,
  afterIssue,
  afterSilence,
  challengesFor,
  type NameRecord,
  nextStep,
  recordOf,
  type Step,
} from './plan.ts'
import { AcmeProblem, remedyFor } from './problem.ts'
import { certificateId } from './renewal-info.ts'
import type { AcmeStore } from './store.ts'

/** What a name is kept with. */
export interface NameParts extends IssuanceParts {
  readonly config: AcmeConfig
  readonly store: AcmeStore
  readonly random: () => number
  readonly log: ServerLog
  readonly signal: AbortSignal
  /** The certificate is another one. */
  changed(): Promise<void>
}

/** How it stands with a name, for status and metrics. Times are milliseconds since 1970. */
export interface NameFacts {
  readonly name: string
  /**
   * `none`: no certificate yet, and the first order has not ended. `failed`: the last order did, whether an
   * old certificate serves or not.
   */
  readonly state: 'none' | 'ordering' | 'valid' | 'failed'
  readonly notAfterMs: number | undefined
  readonly issuer: string | undefined
  readonly renewAtMs: number | undefined
  readonly failures: number
  readonly lastError: string | undefined
  /** When it is tried again, after an error. */
  readonly nextTryMs: number | undefined
}

/**
 * One name: its certificate, and what is to be done about it. The certificate that is there serves until the
 * next one is in.
 */
export class NameKeeper {
  readonly name: string
  readonly #parts: NameParts
  #pair: KeyPair | undefined
  #issuer: string | undefined
  #record: NameRecord
  #ordering = false
  /** The folder lags behind what is here. */
  #unsaved = false

  /** Reads what the folder has. */
  constructor(name: string, parts: NameParts) {
    this.name = name
    this.#parts = parts
    this.#pair = parts.store.readPair(name)
    this.#issuer = this.#pair === undefined ? undefined : issuerOf(this.#pair)
    this.#record = this.#readRecord()
  }

  get pair(): KeyPair | undefined {
    return this.#pair
  }

  get facts(): NameFacts {
    const { renewAtMs, failures, lastError, nextTryMs } = this.#record
    return {
      name: this.name,
      state: this.#state,
      notAfterMs: this.#pair?.notAfterMs,
      issuer: this.#issuer,
      renewAtMs,
      failures,
      lastError,
      nextTryMs: failures > 0 ? nextTryMs : undefined,
    }
  }

  get step(): Step {
    const { config, clock } = this.#parts
    return nextStep(this.#record, this.#pair, { directory: config.directory, nowMs: clock.wall() })
  }

  /** Takes what another process may have put into the folder. */
  async refresh(): Promise<void> {
    if (this.#unsaved) return
    const pair = this.#parts.store.readPair(this.name)
    const isOther = pair !== undefined && pair.certificate !== this.#pair?.certificate
    if (isOther) this.#take(pair)
    this.#record = this.#readRecord()
    if (isOther) await this.#parts.changed()
  }

  /** Orders a certificate. Never rejects: what went wrong stands in the record. */
  async order(): Promise<void> {
    this.#ordering = true
    try {
      const { pair, challenge } = await this.#issued()
      await this.#succeeded(pair, challenge)
    } catch (error) {
      if (!this.#parts.signal.aborted) this.#failed(error)
    } finally {
      this.#ordering = false
    }
  }

  /** Asks the issuer when to renew. Never rejects. */
  async ask(): Promise<void> {
    const { session, clock, random, log } = this.#parts
    const id = this.#pair === undefined ? undefined : certificateId(this.#pair.certificate)
    try {
      const { offered, advice } = id === undefined ? { offered: false } : await session.advice(id)
      const nowMs = clock.wall()
      if (advice === undefined) return this.#keep(afterSilence(this.#record, offered, nowMs))
      const before = this.#record.renewAtMs
      const { retryAfterMs } = session
      this.#keep(afterAdvice(this.#record, advice, { nowMs, random, retryAfterMs }))
      const { renewAtMs } = this.#record
      if (renewAtMs === before) return
      const { explanation } = advice
      log.info({ name: this.name, renew_at: dateOf(renewAtMs), explanation }, 'renewal advised by the issuer')
    } catch (error) {
      if (this.#parts.signal.aborted) return
      log.debug({ name: this.name, reason: (error as Error).message }, 'issuer not asked about renewal')
      this.#keep(afterSilence(this.#record, true, clock.wall()))
    }
  }

  get #state(): NameFacts['state'] {
    if (this.#ordering) return 'ordering'
    if (this.#record.failures > 0) return 'failed'
    return this.#pair === undefined ? 'none' : 'valid'
  }

  async #issued(): Promise<{ readonly pair: KeyPair; readonly challenge: AcmeChallenge }> {
    const problems: AcmeProblem[] = []
    for (const challenge of challengesFor(this.#record, this.#parts.config.challenges)) {
      try {
        return { challenge, pair: await this.#issuedBy(challenge) }
      } catch (error) {
        if (!(error instanceof AcmeProblem) || remedyFor(error) !== 'other-challenge') throw error
        problems.push(new AcmeProblem(`${challenge}: ${error.message}`, error))
      }
    }
    const message = problems.map(problem => problem.message).join('; ')
    throw new AcmeProblem(message, { kind: 'challengeFailed', occasion: 'challenge' })
  }

  /**
   * A closed account, or one that the server does not know, is made anew, once an order. Not one that is
   * good: `unauthorized` may be about the name, and servers count new accounts.
   */
  async #issuedBy(challenge: AcmeChallenge): Promise<KeyPair> {
    const { session } = this.#parts
    const replaces = this.#pair === undefined ? undefined : await this.#replaced(this.#pair)
    try {
      return await issue(this.name, challenge, replaces, this.#parts)
    } catch (error) {
      if (!(error instanceof AcmeProblem) || remedyFor(error) !== 'new-account') throw error
      if (await session.accountIsGood()) throw error
      session.forgetAccount()
      return issue(this.name, challenge, undefined, this.#parts)
    }
  }

  /**
   * How the order names the certificate that it is to replace, to a server that knows of such things (RFC
   * 9773 5).
   */
  async #replaced({ certificate }: KeyPair): Promise<string | undefined> {
    const { renewalInfo } = await this.#parts.session.directory()
    const isFromThere = this.#record.directory === this.#parts.config.directory
    return renewalInfo === undefined || !isFromThere ? undefined : certificateId(certificate)
  }

  async #succeeded(pair: KeyPair, challenge: AcmeChallenge): Promise<void> {
    const { config, clock, random, log } = this.#parts
    const { directory } = config
    this.#take(pair)
    this.#save(() => this.#parts.store.writePair(this.name, pair))
    this.#keep(afterIssue(pair, { directory, challenge, nowMs: clock.wall() }, random))
    log.info(
      {
        name: this.name,
        issuer: this.#issuer,
        challenge,
        not_after: dateOf(pair.notAfterMs),
        renew_at: dateOf(this.#record.renewAtMs),
      },
      'certificate obtained',
    )
    await this.#parts.changed()
  }

  #failed(error: unknown): void {
    const { clock, random, log } = this.#parts
    const nowMs = clock.wall()
    const isKnown = error instanceof AcmeProblem
    const trouble = {
      message: error instanceof Error ? error.message : String(error),
      retryAfterMs: isKnown ? error.retryAfterMs : undefined,
      patience: isKnown && remedyFor(error) === 'patience',
    }
    this.#keep(afterFailure(this.#record, trouble, { nowMs, random }))
    log.warn(
      {
        name: this.name,
        reason: trouble.message,
        failures: this.#record.failures,
        next_try: dateOf(this.#record.nextTryMs),
        not_after: dateOf(this.#pair?.notAfterMs),
        ...(isKnown ? {} : { err: error }),
      },
      'certificate not obtained',
    )
  }

  #take(pair: KeyPair): void {
    this.#pair = pair
    this.#issuer = issuerOf(pair)
  }

  #readRecord(): NameRecord {
    const { store, random } = this.#parts
    return recordOf(store.readRecord(this.name), this.#pair, random)
  }

  #keep(record: NameRecord): void {
    this.#record = record
    this.#save(() => this.#parts.store.writeRecord(this.name, record))
  }

  /** What cannot be written is not lost before the next start, and nothing older takes its place. */
  #save(write: () => void): void {
    try {
      write()
    } catch (error) {
      this.#unsaved = true
      const { store, log } = this.#parts
      log.error({ name: this.name, folder: store.folder, err: error }, 'certificate folder cannot be written')
    }
  }
}

/** `CN=R10, O=Let's Encrypt, C=US` (RFC 4514: the last first). */
function issuerOf({ certificate }: KeyPair): string {
  return new X509Certificate(certificate).issuer.split('\n').toReversed().join(', ')
}

function dateOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}
