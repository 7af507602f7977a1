/**
 * Hosts that have a certificate of an ACME server now, so that plain http can be sent to https. Changes with
 * the certificates, apart from the routes that ask it.
 */
export class SecuredHosts {
  #names: ReadonlySet<string> = new Set()

  /** Names of certificates, in lower case. */
  set(names: Iterable<string>): void {
    this.#names = new Set(names)
  }

  /** `hostname`: lower case, without port. Hot. */
  has(hostname: string): boolean {
    return this.#names.has(hostname)
  }
}
