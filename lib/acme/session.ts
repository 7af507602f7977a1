import type { AcmeConfig } from '../config/tls-model.ts'
import { Caller, type CallerOptions, jsonOf } from './caller.ts'
import { Client } from './client.ts'
import { isAccountKey } from './jose.ts'
import { AcmeProblem, remedyFor } from './problem.ts'
import { type Advice, readAdvice } from './renewal-info.ts'
import type { Account, AcmeStore } from './store.ts'
import { keyText, newEcKey } from './x509.ts'

export interface SessionParts extends CallerOptions {
  readonly config: AcmeConfig
  readonly store: AcmeStore
  /** An account was made, in place of one that is gone or for the first time. */
  accountMade(url: string, terms: string | undefined): void
}

const DIRECTORY_MS = 3_600_000

/**
 * Talks to one ACME server with one account, which is made when it is first needed (RFC 8555 7.3). One call
 * at a time.
 */
export class Session {
  readonly #parts: SessionParts
  readonly #caller: Caller
  #client: Client | undefined
  #directory: { readonly json: Readonly<Record<string, unknown>>; readonly untilMs: number } | undefined

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#caller = new Caller(parts)
  }

  /** Runs requests of the account. */
  async ask<T>(work: (client: Client) => Promise<T>): Promise<T> {
    this.#client ??= await this.#account()
    return work(this.#client)
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
      const status = await this.ask(client => client.updateAccount({ contact: contactOf(config) }))
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

  /**
   * When the issuer wants the certificate renewed; undefined if it does not say such things. Needs no account
   * (RFC 9773 4.1).
   */
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
      throw new AcmeProblem(`${this.#parts.config.directory} is not an ACME directory`, {
        kind: 'noDirectory',
        occasion: 'request',
      })
    return json as Readonly<Record<string, unknown>>
  }

  #get(url: string) {
    return this.#caller.call({ method: 'GET', url, headers: { Accept: 'application/json' }, body: undefined })
  }

  async #account(): Promise<Client> {
    const known = this.#parts.store.readAccount()
    return known !== undefined && this.#fits(known) ? this.#takeUp(known) : this.#register()
  }

  /** Made with this server, and bound to the same account there, if to any. */
  #fits({ directory, keyId, key }: Account): boolean {
    const { config } = this.#parts
    return directory === config.directory && keyId === config.externalAccount?.keyId && isAccountKey(key)
  }

  async #takeUp(account: Account): Promise<Client> {
    const { config, store } = this.#parts
    const client = this.#clientOf(account.key, account.url)
    if (account.email === config.email) return client
    await client.updateAccount({ contact: contactOf(config) })
    store.writeAccount({ ...account, email: config.email })
    return client
  }

  async #register(): Promise<Client> {
    const { config, store } = this.#parts
    const { directory, email, externalAccount } = config
    const key = keyText(newEcKey())
    const client = this.#clientOf(key, undefined)
    const url = await client.createAccount(contactOf(config), externalAccount).catch(asAccountProblem)
    store.writeAccount({ directory, url, key, email, keyId: externalAccount?.keyId })
    this.#parts.accountMade(url, termsOf(await this.directory()))
    return client
  }

  #clientOf(key: string, url: string | undefined): Client {
    return new Client({ caller: this.#caller, key, directory: () => this.directory() }, url)
  }
}

function asAccountProblem(error: unknown): never {
  if (!(error instanceof AcmeProblem)) throw error
  const { kind, retryAfterMs } = error
  const message = `no ACME account: ${error.message}`
  throw new AcmeProblem(message, { kind, occasion: 'account', retryAfterMs, cause: error })
}

/** Where the terms of service stand (RFC 8555 7.1.1). */
function termsOf({ meta }: Readonly<Record<string, unknown>>): string | undefined {
  const { termsOfService } = (meta ?? {}) as { readonly termsOfService?: unknown }
  return typeof termsOfService === 'string' ? termsOfService : undefined
}

function contactOf({ email }: AcmeConfig): string[] {
  return email === undefined ? [] : [`mailto:${email}`]
}
