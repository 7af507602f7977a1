import type { RequestDetail } from './refusal.ts'

const COLON = 58

/**
 * The pseudo-fields of one request (RFC 9113 8.3.1, RFC 8441 4). One object serves all requests of a thread.
 */
export class PseudoFields {
  method = ''
  path = ''
  authority: string | undefined = undefined
  /** Of an extended CONNECT: always `websocket`. */
  protocol: string | undefined = undefined
  #scheme: string | undefined = undefined
  #seen = 0

  /** Reads a flat list of names and values: the index of its first ordinary field, or what is wrong. */
  read(raw: readonly string[]): number | RequestDetail {
    this.#clear()
    let at = 0
    for (; at + 1 < raw.length && isPseudo(raw[at] as string); at += 2) {
      const problem = this.#take(raw[at] as string, raw[at + 1] as string)
      if (problem !== undefined) return problem
    }
    for (let i = at; i + 1 < raw.length; i += 2) {
      if (isPseudo(raw[i] as string)) return 'pseudo-order'
    }
    return this.#fault() ?? at
  }

  #clear(): void {
    this.method = ''
    this.path = ''
    this.authority = undefined
    this.protocol = undefined
    this.#scheme = undefined
    this.#seen = 0
  }

  #take(name: string, value: string): RequestDetail | undefined {
    switch (name) {
      case ':method':
        this.method = value
        return this.#once(1)
      case ':path':
        this.path = value
        return this.#once(2)
      case ':scheme':
        this.#scheme = value
        return this.#once(4)
      case ':authority':
        this.authority = value
        return this.#once(8)
      case ':protocol':
        this.protocol = value
        return this.#once(16)
      default:
        return 'pseudo-unknown'
    }
  }

  #once(bit: number): RequestDetail | undefined {
    if ((this.#seen & bit) !== 0) return 'pseudo-repeated'
    this.#seen |= bit
    return undefined
  }

  #fault(): RequestDetail | undefined {
    if (this.method === '') return 'pseudo-missing'
    if (this.method === 'CONNECT' && this.protocol === undefined) return 'connect'
    if (this.protocol !== undefined && this.method !== 'CONNECT') return 'pseudo-unknown'
    if (this.path === '' || this.#scheme === undefined) return 'pseudo-missing'
    // Other schemes are other gateways (RFC 9113 8.3.1).
    if (this.#scheme !== 'http' && this.#scheme !== 'https') return 'scheme'
    if (this.protocol !== undefined && this.protocol !== 'websocket') return 'protocol-unknown'
    return undefined
  }
}

function isPseudo(name: string): boolean {
  return name.charCodeAt(0) === COLON
}
