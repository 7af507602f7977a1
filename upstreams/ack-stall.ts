/**
 * What is made of the stalls: `watch`: connections are used as usual, answers are counted. `trial`: enough of
 * them stalled; new connections show whether it is the app that is slow. `act`: it is not.
 */
type State =
  | { readonly name: 'watch'; readonly notBeforeMs: number }
  | { readonly name: 'trial'; readonly wanted: number; clean: number }
  | { readonly name: 'act'; readonly untilMs: number }

/**
 * What settles the matter: answers on new connections, or nothing more, where acting costs nothing even if it
 * is wrong.
 */
export type StallProof = 'new-connections' | 'none'

/**
 * Milliseconds of the pause. Linux delays an acknowledgement by 40 ms, timers and a near network add to it.
 * Nagle's algorithm (RFC 9293 3.7.4) keeps a small second write of the app back until the first is
 * acknowledged (RFC 9293 3.8.6.3).
 */
const PAUSE_MS = { from: 35, to: 55 } as const
/**
 * Stalls that raise the suspicion, and the share of all answers that they must be: fewer where other streams'
 * frames may stand before theirs.
 */
const SUSPICIOUS = 8
const SUSPICIOUS_AGAIN = 4
const SHARE: Readonly<Record<StallProof, number>> = { 'new-connections': 0.25, none: 0.05 }
/** Answers after which the counts are halved, so that what was long ago does not count. */
const WINDOW = 64
/**
 * If the app itself paused, a trial would find as many answers without a pause once in ten thousand trials.
 */
const DOUBT = 1e-4
const FEWEST_CLEAN = 4
/**
 * How long it is believed before it is looked at again, and how long an acquittal lasts: doubled each time.
 */
const ACT_MS = { first: 300_000, most: 2_400_000 } as const
const ACQUITTED_MS = { first: 10_000, most: 600_000 } as const

/**
 * Learns whether answers of one endpoint stall on connections that have been used before: head and body are
 * two small writes without TCP_NODELAY, and the second waits for our kernel's delayed acknowledgement, about
 * 41 ms. On a new connection the kernel acknowledges at once, so an app that is slow by itself, such as a
 * stream of events, shows its pauses there too, and is told apart by that. Pure but for its memory: time
 * comes in.
 */
export class AckStall {
  readonly #proof: StallProof
  #state: State = { name: 'watch', notBeforeMs: Number.NEGATIVE_INFINITY }
  #answers = 0
  #stalls = 0
  #actMs: number = ACT_MS.first
  #acquittedMs: number = ACQUITTED_MS.first
  /** It was found before: the next time needs no trial. */
  #known = false

  constructor(proof: StallProof) {
    this.#proof = proof
  }

  /** True while used connections are to be left alone, be it to find out. */
  isActing(nowMs: number): boolean {
    switch (this.#state.name) {
      case 'watch':
        return false
      case 'trial':
        return true
      case 'act':
        if (nowMs < this.#state.untilMs) return true
        this.#watch(Number.NEGATIVE_INFINITY)
        return false
    }
  }

  /** Nothing is suspected. */
  get isWatching(): boolean {
    return this.#state.name === 'watch'
  }

  /** True while new connections are tried to find out. */
  get isTrying(): boolean {
    return this.#state.name === 'trial'
  }

  /**
   * An answer has come; `pauseMs`: between its first bytes and its next, 0 if there was none; `used`: its
   * connection had carried one before. Returns for how many milliseconds stalls are now believed in, if that
   * has just been found out.
   */
  answered(used: boolean, pauseMs: number, nowMs: number): number | undefined {
    const stalled = isStall(pauseMs)
    const state = this.#state
    if (state.name === 'watch') return used ? this.#watched(stalled, state.notBeforeMs, nowMs) : undefined
    if (used) return undefined
    if (state.name === 'trial') return this.#tried(stalled, state, nowMs)
    this.#count(stalled)
    // It does not help: something else is the reason.
    if (this.#isSuspicious(SUSPICIOUS)) this.#acquit(nowMs)
    return undefined
  }

  /** Another process may answer there from now on: what was found is looked at again. */
  replaced(): void {
    if (this.#state.name === 'act') this.#watch(Number.NEGATIVE_INFINITY)
  }

  #watched(stalled: boolean, notBeforeMs: number, nowMs: number): number | undefined {
    this.#count(stalled)
    if (!stalled || nowMs < notBeforeMs) return undefined
    if (this.#known || this.#proof === 'none')
      return this.#isSuspicious(SUSPICIOUS_AGAIN) ? this.#act(nowMs) : undefined
    if (this.#isSuspicious(SUSPICIOUS)) {
      this.#state = { name: 'trial', wanted: cleanOnes(this.#stalls / this.#answers), clean: 0 }
      this.#forget()
    }
    return undefined
  }

  #tried(stalled: boolean, trial: State & { name: 'trial' }, nowMs: number): number | undefined {
    if (stalled) {
      this.#acquit(nowMs)
      return undefined
    }
    trial.clean += 1
    return trial.clean < trial.wanted ? undefined : this.#act(nowMs)
  }

  #act(nowMs: number): number {
    const forMs = this.#actMs
    this.#state = { name: 'act', untilMs: nowMs + forMs }
    this.#known = true
    this.#actMs = Math.min(forMs * 2, ACT_MS.most)
    this.#forget()
    return forMs
  }

  #acquit(nowMs: number): void {
    this.#known = false
    this.#actMs = ACT_MS.first
    this.#watch(nowMs + this.#acquittedMs)
    this.#acquittedMs = Math.min(this.#acquittedMs * 2, ACQUITTED_MS.most)
  }

  #watch(notBeforeMs: number): void {
    this.#state = { name: 'watch', notBeforeMs }
    this.#forget()
  }

  #isSuspicious(stalls: number): boolean {
    return this.#stalls >= stalls && this.#stalls >= this.#answers * SHARE[this.#proof]
  }

  #count(stalled: boolean): void {
    this.#answers += 1
    if (stalled) this.#stalls += 1
    if (this.#answers < WINDOW) return
    this.#answers /= 2
    this.#stalls /= 2
  }

  #forget(): void {
    this.#answers = 0
    this.#stalls = 0
  }
}

/** May a delayed acknowledgement have made this pause? */
export function isStall(pauseMs: number): boolean {
  return pauseMs >= PAUSE_MS.from && pauseMs <= PAUSE_MS.to
}

/**
 * Answers without a pause that an app which pauses in such a share of them gives in a row with the
 * probability DOUBT.
 */
function cleanOnes(share: number): number {
  return share >= 0.99
    ? FEWEST_CLEAN
    : Math.max(FEWEST_CLEAN, Math.ceil(Math.log(DOUBT) / Math.log(1 - share)))
}
