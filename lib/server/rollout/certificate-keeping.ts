import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { CertificateFacts } from '../../../metrics/facts.ts'
import { AcmeKeeper } from '../../acme/keeper.ts'
import type { NameFacts } from '../../acme/name-keeper.ts'
import { STAND_IN_NAME } from '../../acme/stand-in.ts'
import type { Clock } from '../../base/clock.ts'
import { type KeyPair, readAuthorities, readKeyPair } from '../../base/key-pair.ts'
import { Periodic } from '../../base/periodic.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { Timers } from '../../base/timers.ts'
import { acmeHosts } from '../../config/acme-hosts.ts'
import type { ListenerConfig, Snapshot } from '../../config/model.ts'
import type { ListenerCertificates, TlsState } from '../../front/tls/tls-state.ts'

/**
 * How often the files are looked at. By stat(2), so that a link that leads elsewhere (Kubernetes) is seen,
 * too.
 */
const LOOK_MS = 1000
/**
 * Changed files are read once they have kept still for so long: whoever writes them may be in the middle of
 * it.
 */
const STILL_MS = 200
/**
 * Session tickets of more than two such times are not taken any more: their keys could give away what was
 * said (RFC 5077 5.5).
 */
const TICKET_KEYS_MS = 12 * 3_600_000

const TICKET_KEY_BYTES = 48

export interface CertificateKeepingOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: ServerLog
  /** `state` is another now. Resolves once all data threads have it, however busy one of them is. */
  publish(): Promise<void>
}

/**
 * What one listener's files held when they were last good; `pairs` is empty where an ACME server gives them.
 */
interface Kept extends ListenerCertificates {
  readonly config: ListenerConfig
  /** What stat(2) said of all its files. */
  readonly stamp: string
  /** What is wrong with the files now. */
  readonly problem: string | undefined
}

/**
 * Keeps what listeners need to speak TLS: reads certificates with the configuration and whenever their files
 * change. A file that is not good is said once, and what it held before stays in force.
 */
export class CertificateKeeping {
  readonly #options: CertificateKeepingOptions
  readonly #acme: AcmeKeeper
  readonly #looks: Periodic
  readonly #rotation: Periodic
  #kept: readonly Kept[] = []
  #ticketKeys: Uint8Array = randomBytes(TICKET_KEY_BYTES)
  #folderTrouble: string | undefined
  /** What the last look saw, by listener. */
  #seen: ReadonlyMap<string, string> = new Map()

  constructor(options: CertificateKeepingOptions) {
    this.#options = options
    this.#acme = new AcmeKeeper({ ...options, random: Math.random })
    this.#looks = new Periodic(options.timers, LOOK_MS, () => this.#lookAtFiles())
    this.#rotation = new Periodic(options.timers, TICKET_KEYS_MS, () => this.#rotate())
  }

  /** All that data threads need. */
  get state(): TlsState {
    const { pairs: ordered, challenges } = this.#acme
    return {
      listeners: this.#kept.map(({ listener, config, pairs, clientCa }) => ({
        listener,
        pairs: isRenewed(config) ? ordered : pairs,
        clientCa,
      })),
      ticketKeys: this.#ticketKeys,
      challenges,
    }
  }

  get facts(): CertificateFacts[] {
    const renewed = new Set(this.#kept.filter(({ config }) => isRenewed(config)).map(it => it.listener))
    return this.state.listeners.flatMap(({ listener, pairs }) =>
      pairs.filter(isNoStandIn).map(({ names, keyType, notAfterMs }) => ({
        listener,
        name: names[0] ?? '',
        names,
        keyType,
        renewed: renewed.has(listener),
        notAfterMs,
      })),
    )
  }

  /** What is wrong with files, and with orders, now: one sentence each. */
  get problems(): string[] {
    const files = this.#kept.flatMap(({ listener, problem }) =>
      problem === undefined ? [] : [`listener "${listener}": ${problem}`],
    )
    const orders = this.#acme.facts.flatMap(orderProblem)
    return [...files, ...orders, ...(this.#folderTrouble === undefined ? [] : [this.#folderTrouble])]
  }

  /** Why certificates that are ordered cannot be kept; undefined if they can. */
  get folderTrouble(): string | undefined {
    return this.#folderTrouble
  }

  /** The configuration is another: its certificates count from now on. Reads files. */
  take(snapshot: Snapshot): void {
    const { listeners } = snapshot
    const before = new Map(this.#kept.map(kept => [kept.listener, kept]))
    this.#kept = listeners
      .filter(({ tls }) => tls?.kind === 'files' || tls?.kind === 'auto')
      .map(config => this.#read(config, before.get(config.name), ''))
    const trouble = this.#acme.configure(snapshot.acme, acmeHosts(snapshot))
    this.#folderTrouble = trouble === undefined ? undefined : `certificates cannot be kept: ${trouble}`
    if (this.#folderTrouble !== undefined)
      this.#options.log.error({ problem: trouble }, 'certificates cannot be kept')
    this.#looks.start()
    if (!this.#rotation.started) this.#rotation.start()
  }

  /** From now on certificates may be ordered: the listeners accept, where challenges are tried. */
  start(): void {
    this.#acme.start()
  }

  /** Resolves once nothing is under way. */
  async stop(): Promise<void> {
    this.#looks.stop()
    this.#rotation.stop()
    await this.#acme.stop()
  }

  /** What can be read of the listener's files; where they are not good, what was in force. */
  #read(config: ListenerConfig, before: Kept | undefined, stamp: string): Kept {
    const faults: string[] = []
    const files = config.tls?.kind === 'files' ? config.tls.certificates : []
    const pairs = files.flatMap(pair => {
      const reading = readKeyPair(pair)
      if (!('fault' in reading)) return [reading]
      faults.push(`${pair[reading.file]} ${reading.fault}`)
      return []
    })
    const authorities = config.mtls === undefined ? undefined : readAuthorities(config.mtls.ca)
    if (authorities !== undefined && 'fault' in authorities)
      faults.push(`${config.mtls?.ca} ${authorities.fault}`)
    const problem = faults.length === 0 ? undefined : faults.join('; ')
    const same = { listener: config.name, config, stamp, problem }
    if (problem !== undefined && before !== undefined)
      return {
        ...same,
        pairs: before.pairs,
        clientCa: config.mtls === undefined ? undefined : before.clientCa,
      }
    const clientCa = authorities !== undefined && 'text' in authorities ? authorities.text : undefined
    return { ...same, pairs, clientCa }
  }

  async #lookAtFiles(): Promise<void> {
    const kept = this.#kept
    const stamps = new Map<string, string>()
    for (const { listener, config } of kept) stamps.set(listener, await stampOf(config))
    // A reload came between: it has read them all.
    if (kept !== this.#kept) return
    const moved = kept.some(({ listener }) => stamps.get(listener) !== this.#seen.get(listener))
    this.#seen = stamps
    if (moved) this.#looks.soon(STILL_MS)
    else this.#readChanged(stamps)
  }

  #readChanged(stamps: ReadonlyMap<string, string>): void {
    let changed = false
    this.#kept = this.#kept.map(before => {
      const stamp = stamps.get(before.listener) as string
      if (stamp === before.stamp) return before
      const now = this.#read(before.config, before, stamp)
      changed ||= !samePairs(now, before) || now.clientCa !== before.clientCa
      this.#tell(before, now)
      return now
    })
    if (changed) void this.#options.publish()
  }

  #tell(before: Kept, now: Kept): void {
    const { log } = this.#options
    const { listener, problem } = now
    if (problem !== undefined && problem !== before.problem)
      log.warn({ listener, problem }, 'certificate not taken: the one before stays in force')
    if (problem !== undefined) return
    for (const { names, notAfterMs } of samePairs(now, before) ? [] : now.pairs)
      log.info({ listener, names, not_after: new Date(notAfterMs).toISOString() }, 'certificate taken')
    if (now.clientCa !== before.clientCa)
      log.info({ listener, file: now.config.mtls?.ca }, "authorities of clients' certificates taken")
  }

  #rotate(): void {
    this.#ticketKeys = randomBytes(TICKET_KEY_BYTES)
    void this.#options.publish()
  }
}

/** Whether an ACME server gives the listener its certificates. */
function isRenewed({ tls }: ListenerConfig): boolean {
  return tls?.kind === 'auto'
}

/** What serves until there is a certificate is none that anybody would want to hear of. */
function isNoStandIn({ names }: KeyPair): boolean {
  return !names.includes(STAND_IN_NAME)
}

function orderProblem({ name, lastError, nextTryMs }: NameFacts): string[] {
  if (lastError === undefined) return []
  const again = nextTryMs === undefined ? '' : `, next attempt at ${new Date(nextTryMs).toISOString()}`
  return [`${name}: certificate not obtained: ${lastError}${again}`]
}

function samePairs(a: ListenerCertificates, b: ListenerCertificates): boolean {
  return (
    a.pairs.length === b.pairs.length &&
    a.pairs.every((pair, i) => pair.certificate === b.pairs[i]?.certificate && pair.key === b.pairs[i]?.key)
  )
}

/** Tells one state of a listener's files from another. */
async function stampOf({ tls, mtls }: ListenerConfig): Promise<string> {
  const files =
    tls?.kind === 'files' ? tls.certificates.flatMap(({ certificate, key }) => [certificate, key]) : []
  const stamps = [...files, ...(mtls === undefined ? [] : [mtls.ca])].map(async file => {
    try {
      const { dev, ino, size, mtimeMs, ctimeMs } = await stat(file)
      return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code)
    }
  })
  return (await Promise.all(stamps)).join('\n')
}
