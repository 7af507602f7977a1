import { isDeepStrictEqual } from 'node:util'
import { EXCHANGE_BLOCK } from '../../../metrics/blocks.ts'
import { Upstream, type UpstreamObserver } from '../../../upstreams/upstream.ts'
import type { Closable, Idlers } from '../../base/descriptors.ts'
import { Kept, KeptKind } from '../../base/kept.ts'
import { Periodic } from '../../base/periodic.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { ListenerConfig, Snapshot } from '../../config/model.ts'
import { AccessRecorder } from '../../front/access/access.ts'
import type { TunnelFacts } from '../../front/access/tunnel-facts.ts'
import { ClientMemory } from '../../front/connection/client-memory.ts'
import { Listener, type ListenerHooks } from '../../front/listener.ts'
import { NO_TLS, type TlsState } from '../../front/tls/tls-state.ts'
import type { Exchange, ExchangeFacts } from '../../http/exchange.ts'
import type { Gate } from '../../http/handler.ts'
import { DISAGREED } from '../../http/path-readings.ts'
import { MIRROR_RESULTS, type MirrorResult } from '../../proxy/mirror-measures.ts'
import { Spool } from '../../proxy/spool.ts'
import type { TunnelTarget } from '../../proxy/tunnel.ts'
import { UpstreamLink } from '../../proxy/upstream-link.ts'
import { ChallengeAnswers } from '../../route/challenge-answers.ts'
import { SecuredHosts } from '../../route/secured-hosts.ts'
import { TunnelTable } from '../../route/tunnel-table.ts'
import { FileStore } from '../../static/file-store.ts'
import type { StaticNews } from '../../static/static-observer.ts'
import { bindErrorText } from '../shared/address-claim.ts'
import { addressText } from '../shared/address-text.ts'
import type { CutCounts, ListenFailure, SnapshotMessage } from '../shared/messages.ts'
import type { Placement } from '../shared/placement.ts'
import { entryGates } from './chain.ts'
import { ExchangeRows } from './exchange-rows.ts'
import { Overload } from './overload.ts'
import { type RouteParts, RouteTable } from './route-table.ts'
import { StaticMeter } from './static-meter.ts'

/** How often a listener that was taken out of the configuration is looked at: is it empty? */
const RETIRED_LOOK_MS = 250

/** How often streams that stall are looked for while memory is short. */
const SHED_EVERY_MS = 1000

const SPOOL = new KeptKind<Spool>('spool')
const FILES = new KeptKind<FileStore>('files')
const SECURED = new KeptKind<SecuredHosts>('secured hosts')

interface OpenListener {
  readonly config: ListenerConfig
  readonly listener: Listener
}

/**
 * One data thread's working parts: the only place that wires a snapshot to router, handlers, upstreams and
 * listeners. A new snapshot is built beside the old one and taken by assignment; what it does not change goes
 * on undisturbed.
 */
export class Runtime implements ListenerHooks, Closable {
  readonly memory = new ClientMemory()
  readonly #env: ThreadEnv
  readonly #observer: UpstreamObserver & StaticNews
  readonly #writeLine: (line: string) => void
  readonly #rows = new ExchangeRows()
  readonly #kept = new Kept()
  readonly #overload: Overload
  readonly #listeners = new Map<string, OpenListener>()
  readonly #retired = new Set<Listener>()
  readonly #secured = this.#kept.get(SECURED, '', () => new SecuredHosts())
  #tls: TlsState = NO_TLS
  #shedAtMs = Number.NEGATIVE_INFINITY
  #entry: readonly Gate[] = entryGates(new ChallengeAnswers(NO_TLS.challenges))
  #upstreams: ReadonlyMap<string, Upstream> = new Map()
  #links: ReadonlyMap<string, UpstreamLink> = new Map()
  #placement: Placement | undefined
  #spool: Spool | undefined
  #routes: RouteTable | undefined
  #tunnels = new TunnelTable<TunnelTarget>([])
  #recorder: AccessRecorder | undefined

  constructor(env: ThreadEnv, observer: UpstreamObserver & StaticNews, writeLine: (line: string) => void) {
    this.#env = env
    env.descriptors.closable = this
    this.#overload = new Overload(env)
    this.#observer = observer
    this.#writeLine = writeLine
  }

  /** Exchanges that run now. */
  get inflight(): number {
    return this.#sum('inflight')
  }

  /** Client connections that are open. */
  get connections(): number {
    return this.#sum('connections')
  }

  /** Takes a configuration. What could not be bound is reported; all else goes on. */
  async apply({ snapshot, placement, tls }: SnapshotMessage): Promise<ListenFailure[]> {
    this.#rows.learn(placement)
    const upstreams = this.#buildUpstreams(snapshot, placement)
    const before = this.#upstreams
    const tunnels = buildTunnels(snapshot, upstreams)
    const recorder = this.#buildRecorder(snapshot)
    this.#upstreams = upstreams
    this.#routes = this.#routesOf(snapshot, placement, upstreams)
    this.#tunnels = tunnels
    this.#recorder = recorder
    this.#placement = placement
    this.#overload.configure(snapshot.server.overload)
    this.#takeTls(tls, snapshot.listeners)
    for (const [name, upstream] of before) {
      const successor = upstreams.get(name)
      if (successor !== upstream) upstream.retire(successor)
    }
    return this.#applyListeners(snapshot, placement)
  }

  // ListenerHooks. Hot.

  route(exchange: Exchange): void {
    if (!admitted(exchange, this.#entry)) return
    const { hostname, path } = exchange.request
    const target = this.#routes?.find(hostname, path)
    if (target === undefined) return exchange.fail('NO_ROUTE')
    if (target === DISAGREED) return exchange.fail('BAD_REQUEST', 'path-readings')
    exchange.record.route = target.route
    exchange.policy = target.policy
    if (admitted(exchange, target.gates)) target.handler.handle(exchange)
  }

  /** Bodies wait for memory. */
  get bodiesWait(): boolean {
    return this.#spool?.pressure.tight === true
  }

  /** Told how late each tick of the thread came. */
  ticked(delayMs: number): void {
    this.#overload.ticked(delayMs)
    this.#env.descriptors.look()
    for (const { listener } of this.#listeners.values()) listener.makeRoom()
    const nowMs = this.#env.clock.now()
    this.#spool?.ticked(nowMs)
    this.memory.ticked(nowMs)
    if (this.#overload.active) this.#shedStalled()
  }

  // Closable.

  closeResting(): boolean {
    for (const upstream of this.#upstreams.values()) if (upstream.closeResting()) return true
    return false
  }

  closeIdlest(whom: Idlers): boolean {
    const longestFirst = this.#all().sort((a, b) => a.idle.turn - b.idle.turn)
    return longestFirst.some(listener => listener.evictIdlest(whom, 'fd'))
  }

  finished(exchange: ExchangeFacts): void {
    this.#recorder?.finished(exchange)
  }

  tunnelFor(listener: string, serverName: string | undefined): TunnelTarget | undefined {
    return this.#tunnels.find(listener, serverName)
  }

  tunnelEnded(tunnel: TunnelFacts): void {
    this.#recorder?.tunnelEnded(tunnel)
  }

  /** Accepts no more and lets go of what is idle. */
  drain(): void {
    for (const listener of this.#all()) listener.drain()
  }

  /** Cuts everything; says how much there was. */
  cut(): CutCounts {
    const counts = { exchanges: this.inflight, connections: this.connections }
    for (const listener of this.#all()) listener.destroy()
    return counts
  }

  /** Streams that nobody reads are the first to go when memory is short. */
  #shedStalled(): void {
    const { clock, shared } = this.#env
    if (shared.memoryPercent() === 0 || clock.now() - this.#shedAtMs < SHED_EVERY_MS) return
    this.#shedAtMs = clock.now()
    for (const listener of this.#all()) listener.shedStalledStreams()
  }

  /** Takes certificates and challenges; from now on it is known which hosts can be sent to https. */
  #takeTls(tls: TlsState, listeners: readonly ListenerConfig[]): void {
    this.#tls = tls
    this.#entry = entryGates(new ChallengeAnswers(tls.challenges))
    const names = new Set(listeners.filter(hasAcme).map(({ name }) => name))
    const pairs = tls.listeners.flatMap(({ listener, pairs }) => (names.has(listener) ? pairs : []))
    this.#secured.set(pairs.flatMap(pair => pair.names))
  }

  #countMirrored(listener: string, route: string, result: MirrorResult): void {
    const row = this.#rows.rowOf(listener, route)
    this.#env.cells.add(row + EXCHANGE_BLOCK.at.mirrored + MIRROR_RESULTS.indexOf(result), 1)
  }

  #all(): Listener[] {
    return [...[...this.#listeners.values()].map(open => open.listener), ...this.#retired]
  }

  #sum(what: 'inflight' | 'connections'): number {
    return this.#all().reduce((sum, listener) => sum + listener[what], 0)
  }

  #buildUpstreams(snapshot: Snapshot, placement: Placement): Map<string, Upstream> {
    const upstreams = new Map<string, Upstream>()
    for (const [i, config] of snapshot.upstreams.entries()) {
      const place = placement.upstreams[i] as Placement['upstreams'][number]
      const previous = this.#upstreams.get(config.name)
      const before = this.#placement?.upstreams.find(it => it.name === config.name)
      const unchanged = isDeepStrictEqual(previous?.config, config) && isDeepStrictEqual(before, place)
      const kept = unchanged ? previous : undefined
      upstreams.set(config.name, kept ?? new Upstream(config, place, this.#env, this.#observer, previous))
    }
    return upstreams
  }

  /**
   * The table of before where a new one would be the same: certificates and members of upstreams change
   * without it.
   */
  #routesOf(snapshot: Snapshot, placement: Placement, upstreams: ReadonlyMap<string, Upstream>): RouteTable {
    this.#links = linksTo(upstreams, this.#links)
    const parts: RouteParts = {
      upstreams: this.#links,
      spool: this.#configureSpool(snapshot, placement),
      store: this.#openStore(placement),
      env: this.#env,
      kept: this.#kept,
      overload: this.#overload,
      rows: this.#rows,
      secured: snapshot.listeners.some(hasAcme) ? this.#secured : undefined,
      countMirrored: (listener, route, result) => this.#countMirrored(listener, route, result),
    }
    const before = this.#routes
    return before?.isFor(snapshot.routes, parts) === true ? before : new RouteTable(snapshot.routes, parts)
  }

  /** What waits there does not end with a configuration. */
  #configureSpool({ server }: Snapshot, placement: Placement): Spool {
    const { cells, descriptors } = this.#env
    const make = () => new Spool(cells, server.spool, placement.spool.row, descriptors)
    const spool = this.#kept.get(SPOOL, '', make)
    spool.configure(server.spool)
    this.#spool = spool
    return spool
  }

  /** A reload forgets no file. */
  #openStore(placement: Placement): FileStore {
    return this.#kept.get(FILES, '', () => {
      const observer = new StaticMeter(this.#env, placement.static.row, this.#observer)
      const store = new FileStore(this.#env, { observer, kept: this.#kept })
      observer.follow(store)
      return store
    })
  }

  #buildRecorder({ log }: Snapshot): AccessRecorder {
    const writeLine = log.access.kind === 'off' ? undefined : this.#writeLine
    const rowOf = (listener: string, route: string | undefined) => this.#rows.rowOf(listener, route)
    return new AccessRecorder({ env: this.#env, rowOf, writeLine })
  }

  async #applyListeners(snapshot: Snapshot, placement: Placement): Promise<ListenFailure[]> {
    const failures: ListenFailure[] = []
    const leaving = new Map(this.#listeners)
    for (const [i, config] of snapshot.listeners.entries()) {
      const open = this.#listeners.get(config.name)
      if (open !== undefined && isDeepStrictEqual(open.config.address, config.address)) {
        open.listener.update(config)
        open.listener.updateTls(this.#tls)
        this.#listeners.set(config.name, { config, listener: open.listener })
        leaving.delete(config.name)
        continue
      }
      if (config.address.kind === 'unix' && this.#env.thread !== 0) continue
      const failure = await this.#open(config, placement.listeners[i]?.row as number)
      if (failure !== undefined) failures.push(failure)
      // The old address goes on rather than leave the listener without any.
      if (failure !== undefined) leaving.delete(config.name)
    }
    for (const [name, { listener }] of leaving) this.#retire(name, listener, snapshot.server.drainMs)
    return failures
  }

  async #open(config: ListenerConfig, row: number): Promise<ListenFailure | undefined> {
    const listener = new Listener(config, { row }, this.#env, this)
    listener.updateTls(this.#tls)
    try {
      await listener.listen()
    } catch (error) {
      const message = bindErrorText(config.address, error as NodeJS.ErrnoException)
      return { listener: config.name, address: addressText(config.address), message }
    }
    this.#listeners.set(config.name, { config, listener })
    return undefined
  }

  /** Lets a listener's exchanges finish, for as long as a shutdown would. */
  #retire(name: string, listener: Listener, limitMs: number): void {
    if (this.#listeners.get(name)?.listener === listener) this.#listeners.delete(name)
    this.#retired.add(listener)
    listener.drain()
    let leftMs = limitMs
    const looks = new Periodic(this.#env.timers, RETIRED_LOOK_MS, () => {
      leftMs -= RETIRED_LOOK_MS
      if (listener.connections > 0 && leftMs > 0) return
      looks.stop()
      this.#retired.delete(listener)
      listener.destroy()
    })
    looks.start()
  }
}

/** True if all of them let it pass. Hot. */
function admitted(exchange: Exchange, gates: readonly Gate[]): boolean {
  for (let i = 0; i < gates.length; i += 1) if (gates[i]?.admits(exchange) === false) return false
  return true
}

/** The link of each upstream: the one of before, which now leads to the new one. */
function linksTo(
  upstreams: ReadonlyMap<string, Upstream>,
  before: ReadonlyMap<string, UpstreamLink>,
): ReadonlyMap<string, UpstreamLink> {
  const links = [...upstreams].map(([name, upstream]): [string, UpstreamLink] => {
    const link = before.get(name) ?? new UpstreamLink(upstream)
    link.current = upstream
    return [name, link]
  })
  return new Map(links)
}

function hasAcme({ tls }: ListenerConfig): boolean {
  return tls?.kind === 'auto'
}

function buildTunnels({ tunnels }: Snapshot, upstreams: ReadonlyMap<string, Upstream>) {
  const rules = tunnels.map(({ name, hosts, listeners, upstream }) => {
    const leadsTo = upstreams.get(upstream)
    if (leadsTo === undefined) throw new Error(`tunnel "${name}" leads to no upstream`)
    return { hosts, listeners, target: { tunnel: name, upstream: leadsTo } }
  })
  return new TunnelTable<TunnelTarget>(rules)
}
