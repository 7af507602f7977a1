import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../base/clock.ts'
import { type KeyPair, readAuthorities } from '../base/key-pair.ts'
import type { ServerLog } from '../base/server-log.ts'
import type { Deadline, Timers } from '../base/timers.ts'
import { whyNoCertificate } from '../config/acme-hosts.ts'
import type { AcmeConfig } from '../config/tls-model.ts'
import type { AcmeChallenges } from '../http/acme-challenge.ts'
import { ChallengeBoard } from './challenge-board.ts'
import { type NameFacts, NameKeeper, type NameParts } from './name-keeper.ts'
import { pause } from './pause.ts'
import { Session } from './session.ts'
import { makeStandIn } from './stand-in.ts'
import { AcmeStore } from './store.ts'

export interface KeeperParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: () => number
  readonly log: ServerLog
  /**
   * Certificates or challenges have changed. Resolves once all data threads have taken them: before that no
   * challenge may be tried.
   */
  publish(): Promise<void>
}

/** Longest sleep: the machine's clock may be set, and another process may have renewed. */
const MAX_SLEEP_MS = 3_600_000
const MIN_SLEEP_MS = 1000
/** How long to wait for another process that orders in the same folder. */
const LOCKED_MS = 30_000

/** One configuration's server, folder and account. */
interface Term {
  readonly config: AcmeConfig
  readonly parts: NameParts
  readonly end: AbortController
  names: readonly NameKeeper[]
}

/**
 * Keeps the certificates of listeners with `tls = "auto"`, on the control thread: takes them from their
 * folder, orders what is missing, one name after the other, and renews in time. A name that fails holds up no
 * other.
 */
export class AcmeKeeper implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #parts: KeeperParts
  readonly #board: ChallengeBoard
  #term: Term | undefined
  #standIn: KeyPair | undefined
  /** With the reason; the check of the configuration has told it. */
  #leftOut: ReadonlyMap<string, string> = new Map()
  #started = false
  #round: Promise<void> | undefined

  constructor(parts: KeeperParts) {
    this.#parts = parts
    this.#board = new ChallengeBoard(() => parts.publish())
  }

  /**
   * Takes a configuration; `hosts` are those of routes (`acmeHosts`), none where no listener asks for
   * certificates. What the folder holds is in `pairs` when it returns. Gives the reason, in words, if the
   * folder cannot be used: a start must then fail; after a reload certificates live in memory only.
   */
  configure(config: AcmeConfig, hosts: readonly string[]): string | undefined {
    this.#leaveOut(hosts)
    const names = hosts.filter(host => !this.#leftOut.has(host))
    const isSame = isDeepStrictEqual(this.#term?.config, config)
    if (names.length === 0 || !isSame) this.#endTerm()
    if (names.length === 0) return undefined
    const begun = this.#term === undefined ? this.#begin(config) : { term: this.#term, trouble: undefined }
    const { term, trouble } = begun
    const known = new Map(term.names.map(keeper => [keeper.name, keeper]))
    term.names = names.map(name => known.get(name) ?? new NameKeeper(name, term.parts))
    this.#term = term
    this.#wake()
    return trouble
  }

  /**
   * From now on certificates are ordered. To be called once the listeners accept: that is where challenges
   * are tried.
   */
  start(): void {
    this.#started = true
    this.#wake()
  }

  /**
   * Ends what runs; resolves once nothing does. What was ordered half is ordered anew by the next process.
   * What serves goes on serving.
   */
  async stop(): Promise<void> {
    this.#started = false
    this.#term?.end.abort()
    this.#parts.timers.disarm(this)
    await this.#round
  }

  /** Certificates that serve now; a self-signed one where there is no other, so that handshakes complete. */
  get pairs(): readonly KeyPair[] {
    const names = this.#term?.names ?? []
    const pairs = names.flatMap(({ pair }) => pair ?? [])
    if (pairs.length > 0 || names.length === 0) return pairs
    this.#standIn ??= makeStandIn(this.#parts.clock.wall())
    return [this.#standIn]
  }

  /** What ACME servers may be asking for now. */
  get challenges(): AcmeChallenges {
    return this.#board.challenges
  }

  get facts(): readonly NameFacts[] {
    return (this.#term?.names ?? []).map(({ facts }) => facts)
  }

  /** Hosts that get no certificate, each with the reason. */
  get leftOut(): ReadonlyMap<string, string> {
    return this.#leftOut
  }

  /** For the timers: it is time to look. */
  expired(): void {
    this.#wake()
  }

  #leaveOut(hosts: readonly string[]): void {
    const all = hosts.map(host => [host, whyNoCertificate(host)] as const)
    this.#leftOut = new Map(all.flatMap(([host, reason]) => (reason === undefined ? [] : [[host, reason]])))
  }

  #begin(config: AcmeConfig): { readonly term: Term; readonly trouble: string | undefined } {
    const { clock, timers, random, log, publish } = this.#parts
    const end = new AbortController()
    const { signal } = end
    const store = new AcmeStore(
      config.folder,
      () => clock.wall(),
      ({ file, what }) => log.warn({ file, reason: what }, 'certificate folder'),
    )
    const trouble = store.open()
    const authority = config.ca === undefined ? undefined : readAuthorities(config.ca)
    const session = new Session({
      config,
      store,
      clock,
      signal,
      // Without it no call goes through, which then stands in the log.
      ca: authority !== undefined && 'text' in authority ? authority.text : undefined,
      accountMade: (url, terms) => log.info({ account: url, terms_agreed: terms }, 'ACME account made'),
    })
    const parts: NameParts = {
      session,
      config,
      store,
      board: this.#board,
      clock,
      keyType: config.keyType,
      random,
      log,
      signal,
      changed: publish,
      pause: async delayMs => {
        await pause(timers, delayMs, signal)
        store.lock.refresh()
      },
    }
    const words =
      trouble === undefined ? undefined : `the folder ${config.folder} ${trouble.what}: ${trouble.hint}`
    return { term: { config, parts, end, names: [] }, trouble: words }
  }

  #endTerm(): void {
    this.#term?.end.abort()
    this.#term = undefined
    this.#parts.timers.disarm(this)
  }

  #wake(): void {
    if (!this.#started || this.#round !== undefined) return
    this.#round = this.#work()
      .catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'certificates not looked after')
        this.#sleep(MAX_SLEEP_MS)
      })
      .finally(() => {
        this.#round = undefined
      })
  }

  /** Does what is due, then sleeps. */
  async #work(): Promise<void> {
    let sleepMs = MAX_SLEEP_MS
    // The term may be another one after each wait.
    for (let term = this.#term; term !== undefined && this.#started; term = this.#term) {
      const due = mostUrgent(term.names)
      if (due === undefined) break
      if (await this.#take(due, term)) continue
      sleepMs = LOCKED_MS
      break
    }
    this.#sleep(sleepMs)
  }

  #sleep(maxMs: number): void {
    if (this.#term === undefined || !this.#started) return
    const nowMs = this.#parts.clock.wall()
    const untilMs = this.#term.names.map(({ step }) => (step.kind === 'wait' ? step.untilMs : nowMs + maxMs))
    const delayMs = Math.max(Math.min(...untilMs, nowMs + maxMs) - nowMs, MIN_SLEEP_MS)
    this.#parts.timers.arm(this, delayMs)
  }

  /** False if another process is at it. */
  async #take(keeper: NameKeeper, { parts }: Term): Promise<boolean> {
    const { lock } = parts.store
    const wanted = keeper.step.kind
    if (wanted === 'order' && !lock.take()) return false
    try {
      await keeper.refresh()
      // Somebody else may have done it meanwhile.
      if (keeper.step.kind !== wanted) return true
      await (wanted === 'order' ? keeper.order() : keeper.ask())
    } finally {
      if (wanted === 'order') lock.release()
    }
    return true
  }
}

/** Names without a certificate first, then by the end of the one they have. */
function mostUrgent(names: readonly NameKeeper[]): NameKeeper | undefined {
  const due = names.filter(({ step }) => step.kind !== 'wait')
  return due.toSorted((a, b) => (a.pair?.notAfterMs ?? 0) - (b.pair?.notAfterMs ?? 0))[0]
}
