import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { CallAnswer, Caller } from './caller.ts'
import {
  type Authorization,
  type Challenge,
  type Order,
  readAccountStatus,
  readAuthorization,
  readOrder,
} from './documents.ts'
import { boundTo, type PublicJwk, publicJwk, signed, thumbprint } from './jose.ts'
import { AcmeProblem } from './problem.ts'

/** An account with the issuer that a new ACME account is bound to (RFC 8555 7.3.4). */
export interface ExternalAccount {
  readonly keyId: string
  readonly hmacKey: string
}

export interface ClientParts {
  readonly caller: Pick<Caller, 'call' | 'nonceRefused'>
  /** PEM text. */
  readonly key: string
  /** RFC 8555 7.1.1: where what can be asked for is found. */
  directory(): Promise<Readonly<Record<string, unknown>>>
}

/** A server that refuses half of all nonces, as the ones for tests do, must not be able to end an order. */
const NONCE_ROUNDS = 40

/**
 * The requests of one account to one ACME server, signed (RFC 8555 6.2). One at a time. Throws AcmeProblem.
 */
export class Client {
  readonly #parts: ClientParts
  readonly #key: KeyObject
  readonly #jwk: PublicJwk
  /** The account's name; undefined until it has been made. */
  #account: string | undefined
  /** For one request, from the answer before (RFC 8555 6.5.1). */
  #nonce: string | undefined = undefined

  constructor(parts: ClientParts, account: string | undefined) {
    this.#parts = parts
    this.#account = account
    this.#key = createPrivateKey(parts.key)
    this.#jwk = publicJwk(this.#key)
  }

  /** Makes the account, or finds the one that has this key (RFC 8555 7.3). Resolves to its URL. */
  async createAccount(contact: readonly string[], external: ExternalAccount | undefined): Promise<string> {
    const url = await this.#resource('newAccount')
    const binding =
      external === undefined ? {} : { externalAccountBinding: boundTo(external, url, this.#jwk) }
    const { headers } = await this.#post(url, { termsOfServiceAgreed: true, contact, ...binding })
    this.#account = locationOf(headers.location, 'account')
    return this.#account
  }

  /** Changes the account; resolves to its status (RFC 8555 7.3.2). */
  async updateAccount(change: Readonly<Record<string, unknown>>): Promise<string> {
    return readAccountStatus((await this.#post(this.#account ?? '', change)).text)
  }

  /** `replaces`: RFC 9773 5. */
  async createOrder(name: string, replaces?: string): Promise<Order> {
    const wish = {
      identifiers: [{ type: 'dns', value: name }],
      ...(replaces === undefined ? {} : { replaces }),
    }
    const { headers, text } = await this.#post(await this.#resource('newOrder'), wish)
    return readOrder(locationOf(headers.location, 'order'), text)
  }

  async order({ url }: Order): Promise<Order> {
    return readOrder(url, (await this.#post(url, undefined)).text)
  }

  async authorization(url: string): Promise<Authorization> {
    return readAuthorization(url, (await this.#post(url, undefined)).text)
  }

  /** Says that the challenge can be tried now (RFC 8555 7.5.1). */
  async answer({ url }: Challenge): Promise<void> {
    await this.#post(url, {})
  }

  /** What the answer to a challenge must hold (RFC 8555 8.1). */
  keyAuthorization({ token }: Challenge): string {
    return `${token}.${thumbprint(this.#jwk)}`
  }

  /** `request`: a certificate request as DER. */
  async finalize({ url, finalize }: Order, request: Buffer): Promise<Order> {
    const { text } = await this.#post(finalize, { csr: request.toString('base64url') })
    return readOrder(url, text)
  }

  /** The chain as PEM text, the own certificate first (RFC 8555 7.4.2). */
  async certificate(url: string): Promise<string> {
    return (await this.#post(url, undefined, 'application/pem-certificate-chain')).text
  }

  /**
   * A refused nonce means that nothing was done: the request goes out once more, with the nonce of the
   * refusal (RFC 8555 6.5).
   */
  async #post(url: string, payload: unknown, accept = 'application/json'): Promise<CallAnswer> {
    const { caller } = this.#parts
    const who = this.#account === undefined ? { jwk: this.#jwk } : { kid: this.#account }
    for (let round = 1; ; round += 1) {
      const nonce = this.#nonce ?? (await this.#freshNonce())
      this.#nonce = undefined
      const body = JSON.stringify(signed(this.#key, { ...who, nonce, url }, payload))
      const headers = { Accept: accept, 'Content-Type': 'application/jose+json' }
      const answer = await caller.call({ method: 'POST', url, headers, body })
      this.#nonce = nonceOf(answer)
      if (!caller.nonceRefused) return answer
      if (round === NONCE_ROUNDS)
        throw new AcmeProblem('the server rejects every nonce', { kind: 'badNonce', occasion: 'request' })
    }
  }

  async #freshNonce(): Promise<string> {
    const url = await this.#resource('newNonce')
    const answer = await this.#parts.caller.call({ method: 'HEAD', url, headers: {}, body: undefined })
    const nonce = nonceOf(answer)
    if (nonce === undefined)
      throw new AcmeProblem('the server sends no nonce', { kind: 'noNonce', occasion: 'request' })
    return nonce
  }

  async #resource(name: string): Promise<string> {
    const url = (await this.#parts.directory())[name]
    if (typeof url === 'string') return url
    throw new AcmeProblem(`the directory contains no ${name}`, { kind: 'noDirectory', occasion: 'request' })
  }
}

function nonceOf({ headers }: CallAnswer): string | undefined {
  const nonce = headers['replay-nonce']
  return typeof nonce === 'string' && nonce !== '' ? nonce : undefined
}

function locationOf(location: string | undefined, what: string): string {
  if (location !== undefined) return location
  throw new AcmeProblem(`the server sends no location of the ${what}`, {
    kind: 'noLocation',
    occasion: 'request',
  })
}
