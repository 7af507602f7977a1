import type { Client } from 'acme-client'
import type { AcmeConfig } from '../config/tls-model.ts'
import { Caller, type CallerOptions, jsonOf } from './caller.ts'
import { callingBy, type Library, loadLibrary } from './library.ts'
import { AcmeProblem, remedyFor } from './problem.ts'
import { type Advice, readAdvice } from './renewal-info.ts'
import type { Account, AcmeStore } from './store.ts'

export interface SessionParts extends CallerOptions {
  readonly config: AcmeConfig
  readonly store: AcmeStore
  /** An account was made, in place of one that is gone or for the first time. */
  accountMade(url: string, terms: string | undefined): void
}

/** The library signs five times more by itself; a server that refuses half of all nonces must not be able to end an order. */
const NONCE_ROUNDS = 10
const DIRECTORY_MS = 3_600_000

/** Talks to one ACME server with one account, which is made when it is first needed (RFC 8555 7.3). One call at a time. */
export class Session {
  readonly #parts: SessionParts
  readonly #caller: Caller
  #client: Client | undefined
  #directory: { readonly json: Readonly<Record<string, unknown>>; readonly untilMs: number } | undefined

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#caller = new Caller(parts)
  }

  /** Runs a request of the library for the account. */
  async ask<T>(work: (client: Client, library: Library) => Promise<T>): Promise<T> {
    const library = await loadLibrary()
    const client = await this.#account(library)
    return this.#signed(() => work(client, library))
  }

  /** How long the last answer wants us to wait. */
  get retryAfterMs(): number | undefined {
    return this.#caller.retryAfterMs
  }

  /** False if the server says that it does not know the account, or has closed it. */
  async accountIsGood(): Promise<boolean> {
    const { config } = this.#parts
    try {
      // An update that changes nothing: servers differ in how an account is read.
      const { status } = await this.ask(client => client.updateAccount({ contact: contactOf(config) }))
      return status === 'valid'
    } catch (error) {
      if (error instanceof AcmeProblem && remedyFor(error) === 'new-account') return false
      throw error
    }
  }

  /** The account is gone: the next request makes another one. */
  forgetAccount(): void {
    this.#client = undefined
    this.#parts.store.removeAccount()
  }

  /** When the issuer wants the certificate renewed; undefined if it does not say such things. Needs no account (RFC 9773 4.1). */
  async advice(certificateId: string): Promise<{ readonly offered: boolean; readonly advice?: Advice }> {
    const { renewalInfo } = await this.directory()
    if (typeof renewalInfo !== 'string') return { offered: false }
    const { text } = await this.#get(`${renewalInfo.replace(/\/$/, '')}/${certificateId}`)
    const advice = readAdvice(text)
    return advice === undefined ? { offered: true } : { offered: true, advice }
  }

  /** RFC 8555 7.1.1; looked at once an hour. */
  async directory(): Promise<Readonly<Record<string, unknown>>> {
    const nowMs = this.#parts.clock.now()
    if (this.#directory !== undefined && nowMs < this.#directory.untilMs) return this.#directory.json
    const json = await this.#readDirectory()
    this.#directory = { json, untilMs: nowMs + DIRECTORY_MS }
    return json
  }

  async #readDirectory(): Promise<Readonly<Record<string, unknown>>> {
    const { text } = await this.#get(this.#parts.config.directory)
    const json = jsonOf(text)
    if (typeof json !== 'object' || json === null)
      throw new AcmeProblem(`${this.#parts.config.directory} is no ACME directory`, {
        kind: 'noDirectory',
        occasion: 'request',
      })
    return json as Readonly<Record<string, unknown>>
  }

  #get(url: string) {
    return this.#caller.call({ method: 'GET', url, headers: { Accept: 'application/json' }, body: undefined })
  }

  async #account(library: Library): Promise<Client> {
    if (this.#client !== undefined) return this.#client
    const known = this.#parts.store.readAccount()
    const client =
      known !== undefined && this.#fits(known)
        ? await this.#takeUp(known, library)
        : await this.#register(library)
    this.#client = client
    return client
  }

  /** Made with this server, and bound to the same account there, if to any. */
  #fits({ directory, keyId }: Account): boolean {
    const { config } = this.#parts
    return directory === config.directory && keyId === config.externalAccount?.keyId
  }

  async #takeUp(account: Account, library: Library): Promise<Client> {
    const { config, store } = this.#parts
    const client = this.#clientOf(library, account.key, account.url)
    if (account.email === config.email) return client
    await this.#signed(() => client.updateAccount({ contact: contactOf(config) }))
    store.writeAccount({ ...account, email: config.email })
    return client
  }

  async #register(library: Library): Promise<Client> {
    const { config, store } = this.#parts
    const key = (await library.crypto.createPrivateEcdsaKey()).toString('latin1')
    const client = this.#clientOf(library, key, undefined)
    try {
      await this.#signed(() =>
        client.createAccount({ termsOfServiceAgreed: true, contact: contactOf(config) }),
      )
    } catch (error) {
      if (!(error instanceof AcmeProblem)) throw error
      const { kind, retryAfterMs } = error
      const message = `no account: ${error.message}`
      throw new AcmeProblem(message, { kind, occasion: 'account', retryAfterMs, cause: error })
    }
    const url = client.getAccountUrl()
    const { directory, email, externalAccount } = config
    store.writeAccount({ directory, url, key, email, keyId: externalAccount?.keyId })
    const terms = await this.#signed(() => client.getTermsOfServiceUrl())
    this.#parts.accountMade(url, terms ?? undefined)
    return client
  }

  #clientOf(library: Library, key: string, url: string | undefined): Client {
    const { directory, externalAccount } = this.#parts.config
    const binding =
      externalAccount === undefined
        ? undefined
        : { kid: externalAccount.keyId, hmacKey: externalAccount.hmacKey }
    return new library.Client({
      directoryUrl: directory,
      accountKey: key,
      ...(url === undefined ? {} : { accountUrl: url }),
      ...(binding === undefined ? {} : { externalAccountBinding: binding }),
    })
  }

  /** A refused nonce means that nothing was done: the request goes out once more (RFC 8555 6.5). */
  async #signed<T>(work: () => Promise<T>): Promise<T> {
    for (let round = 1; ; round += 1) {
      try {
        return await callingBy(this.#caller, work)
      } catch (error) {
        if (error instanceof AcmeProblem) throw error
        const { message } = error as Error
        if (this.#caller.nonceRefused && round < NONCE_ROUNDS) continue
        const kind = this.#caller.nonceRefused ? 'badNonce' : 'unknown'
        throw new AcmeProblem(message, { kind, occasion: 'request', cause: error })
      }
    }
  }
}

function contactOf({ email }: AcmeConfig): string[] {
  return email === undefined ? [] : [`mailto:${email}`]
}
