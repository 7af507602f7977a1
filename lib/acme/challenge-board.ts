import type { KeyPair } from '../base/key-pair.ts'
import type { AcmeChallenges } from '../http/acme-challenge.ts'

/** What proves one name. */
export type Proof =
  | { readonly kind: 'http-01'; readonly token: string; readonly keyAuthorization: string }
  | { readonly kind: 'tls-alpn-01'; readonly pair: KeyPair }

/**
 * The challenges that can be answered now. Whoever changes them waits until the data threads have heard of
 * it.
 */
export class ChallengeBoard {
  readonly #proofs = new Set<Proof>()
  readonly #publish: () => Promise<void>

  constructor(publish: () => Promise<void>) {
    this.#publish = publish
  }

  get challenges(): AcmeChallenges {
    const proofs = [...this.#proofs]
    return {
      http: proofs.flatMap(proof =>
        proof.kind === 'http-01' ? [[proof.token, proof.keyAuthorization] as const] : [],
      ),
      alpn: proofs.flatMap(proof => (proof.kind === 'tls-alpn-01' ? [proof.pair] : [])),
    }
  }

  /** Runs `work` while the proof can be had. */
  async during<T>(proof: Proof, work: () => Promise<T>): Promise<T> {
    this.#proofs.add(proof)
    try {
      await this.#publish()
      return await work()
    } finally {
      this.#proofs.delete(proof)
      await this.#publish()
    }
  }
}
