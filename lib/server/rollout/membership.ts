import { isDeepStrictEqual } from 'node:util'
import { FileWatch } from '../../../upstreams/discovery/file-watch.ts'
import { type Lookups, ServerLookups, SystemLookups } from '../../../upstreams/discovery/lookups.ts'
import type { Member, Wanted } from '../../../upstreams/discovery/name-watch.ts'
import { NameWatches } from '../../../upstreams/discovery/name-watches.ts'
import type { Clock } from '../../base/clock.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { Timers } from '../../base/timers.ts'
import { misfit } from '../../config/endpoint-fit.ts'
import type { EndpointList } from '../../config/endpoints-file.ts'
import type { EndpointConfig, NamedEndpoints, Snapshot, UpstreamConfig } from '../../config/model.ts'
import { addressText } from '../shared/address-text.ts'
import { within } from '../shared/alarm.ts'
import { configuredText, type EndpointSource, type Overlay, sourcesOf } from './overlay.ts'

/** How long a start or a reload waits for new names and files: the usual ones are known by then. */
const FIRST_MS = 1000
const NOTHING: EndpointList = { endpoints: [], names: [] }

export interface MembershipParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: ServerLog
  /** Uniform in [0, 1). */
  random(): number
  /** The members of the running configuration are others now. */
  changed(): void
}

/** Whom names are asked of. */
interface Asking {
  readonly servers: readonly string[]
  readonly lookups: Lookups
}

/** One endpoint that is to be probed, but to get no traffic. */
export interface QuietEndpoint {
  readonly upstream: string
  readonly endpoint: EndpointConfig
}

/** A configuration with all endpoints that it has at the moment. */
export interface Members {
  readonly snapshot: Snapshot
  readonly quiet: readonly QuietEndpoint[]
}

/**
 * Knows which endpoints each upstream has at the moment: configured, found by name, listed in a file,
 * deployed.
 */
export class Membership {
  readonly #parts: MembershipParts
  readonly #names: NameWatches
  readonly #files = new Map<string, FileWatch>()
  readonly #overlays = new Map<string, Overlay>()
  #asking: Asking = { servers: [], lookups: new SystemLookups() }
  #running: Snapshot | undefined
  /** A configuration that is about to be taken. */
  #next: { readonly snapshot: Snapshot; readonly asking: Asking } | undefined

  constructor(parts: MembershipParts) {
    this.#parts = parts
    const { log, changed } = parts
    this.#names = new NameWatches({
      ...parts,
      observer: {
        changed: (upstream, name, added, removed) => {
          log.info({ upstream, name, added, removed }, 'endpoints changed')
          changed()
        },
        troubled: (upstream, name, problem) => {
          if (problem === undefined) log.info({ upstream, name }, 'endpoint name found')
          else log.warn({ upstream, name, problem }, 'endpoint name not found')
        },
      },
    })
  }

  /**
   * Looks up what the configuration has and the running one has not. Does not wait for ever: what is not
   * known yet comes later.
   */
  async prepare(next: Snapshot): Promise<void> {
    const asking = this.#askingOf(next)
    this.#next = { snapshot: next, asking }
    const looked = this.#openFiles(next).then(() => this.#names.add(this.#wantedBy(next), asking.lookups))
    await within(this.#parts.timers, FIRST_MS, looked, undefined)
  }

  /** The configuration, prepared or running, with the endpoints that are known. */
  membersOf(configured: Snapshot): Members {
    const quiet: QuietEndpoint[] = []
    const upstreams = configured.upstreams.map(upstream => {
      const endpoints = this.#endpointsOf(upstream)
      for (const { endpoint, isQuiet } of endpoints)
        if (isQuiet) quiet.push({ upstream: upstream.name, endpoint })
      return { ...upstream, endpoints: endpoints.map(({ endpoint }) => endpoint) }
    })
    return { snapshot: { ...configured, upstreams }, quiet }
  }

  /** The prepared configuration runs. */
  adopt(configured: Snapshot): void {
    this.#asking = this.#next?.asking ?? this.#askingOf(configured)
    this.#next = undefined
    this.#running = configured
    this.#dropOverlays(configured)
    this.#follow()
  }

  /** The prepared configuration was refused. */
  abandon(): void {
    this.#next = undefined
    this.#follow()
  }

  /** An endpoint of the upstream has failed: its names may stand for other addresses by now. */
  doubt(upstream: string): void {
    this.#names.doubt(upstream)
  }

  /** Names and files of the upstream that cannot be had at the moment, and why. */
  problems(upstream: string): string[] {
    const config = this.#running?.upstreams.find(({ name }) => name === upstream)
    if (config === undefined) return []
    return this.#sourcesOf(config).flatMap(source => {
      const { endpointsFile: file } = source
      const names = this.#namesOf(source).map(({ name }) => [name, this.#names.of(upstream, name)?.problem])
      const barred = this.#listOf(source).endpoints.map(({ name, protocol }) => [
        name,
        misfit(protocol, config),
      ])
      return [
        ...(file === undefined ? [] : [[file, this.#files.get(file)?.problem]]),
        ...names,
        ...barred,
      ].flatMap(([what, problem]) => (problem === undefined ? [] : [`${what}: ${problem}`]))
    })
  }

  /**
   * Names of the endpoints that a deploy has put in the place of the configured ones; undefined: it has not.
   */
  deployed(upstream: string): string[] | undefined {
    const config = this.#running?.upstreams.find(({ name }) => name === upstream)
    const present = this.#overlays.get(upstream)?.present
    if (config === undefined || present === undefined) return undefined
    return [...present.endpoints, ...present.names].map(({ name }) => name)
  }

  /** What a deploy has made of the upstream; undefined: it is as configured. */
  overlay(upstream: string): Overlay | undefined {
    return this.#overlays.get(upstream)
  }

  /** To be followed by a hand-out. */
  setOverlay(upstream: string, overlay: Overlay | undefined): void {
    if (overlay === undefined) this.#overlays.delete(upstream)
    else this.#overlays.set(upstream, overlay)
    this.#follow()
  }

  /** What a source gives the upstream now; without one, what is configured. */
  endpointsFrom(upstream: UpstreamConfig, source: EndpointSource = upstream): readonly EndpointConfig[] {
    const taken = new Set<string>()
    return this.#listed(upstream.name, source).filter(endpoint => {
      return misfit(endpoint.protocol, upstream) === undefined && isNew(taken, endpoint)
    })
  }

  /** Names of a source that stand for nothing yet. */
  unknownNames(upstream: UpstreamConfig, source: EndpointSource = upstream): string[] {
    const unknown = this.#namesOf(source).filter(({ name }) => {
      return (this.#names.of(upstream.name, name)?.found.length ?? 0) === 0
    })
    return unknown.map(({ name }) => name)
  }

  stop(): void {
    this.#names.stop()
    for (const file of this.#files.values()) file.stop()
    this.#files.clear()
  }

  #endpointsOf(upstream: UpstreamConfig): { endpoint: EndpointConfig; isQuiet: boolean }[] {
    const taken = new Set<string>()
    return this.#sourcesOf(upstream).flatMap((source, i) => {
      return this.#listed(upstream.name, source)
        .filter(endpoint => misfit(endpoint.protocol, upstream) === undefined && isNew(taken, endpoint))
        .map(endpoint => ({ endpoint, isQuiet: i > 0 }))
    })
  }

  #listed(upstream: string, source: EndpointSource): EndpointConfig[] {
    const file = this.#listOf(source)
    return [
      ...source.endpoints,
      ...source.names.flatMap(named => this.#foundBy(upstream, named)),
      ...file.endpoints,
      ...file.names.flatMap(named => this.#foundBy(upstream, named)),
    ]
  }

  #foundBy(upstream: string, named: NamedEndpoints): EndpointConfig[] {
    const watch = this.#names.of(upstream, named.name)
    return watch === undefined ? [] : watch.members.map(member => endpointOf(member, named))
  }

  #sourcesOf(upstream: UpstreamConfig): readonly EndpointSource[] {
    return sourcesOf(upstream, this.#overlays.get(upstream.name))
  }

  #listOf({ endpointsFile }: EndpointSource): EndpointList {
    return endpointsFile === undefined ? NOTHING : (this.#files.get(endpointsFile)?.list ?? NOTHING)
  }

  #namesOf(source: EndpointSource): readonly NamedEndpoints[] {
    return [...source.names, ...this.#listOf(source).names]
  }

  #wantedBy({ upstreams }: Snapshot): Wanted[] {
    return upstreams.flatMap(upstream => {
      const names = this.#sourcesOf(upstream).flatMap(source => this.#namesOf(source))
      return names.map(named => ({ upstream: upstream.name, named, discovery: upstream.discovery }))
    })
  }

  /** Watches what the running configuration needs, and the one that is about to, and nothing else. */
  #follow(): void {
    const snapshots = [this.#running, this.#next?.snapshot].filter(snapshot => snapshot !== undefined)
    for (const snapshot of snapshots) void this.#openFiles(snapshot)
    const paths = new Set(snapshots.flatMap(snapshot => this.#pathsOf(snapshot)))
    for (const [path, file] of this.#files) {
      if (paths.has(path)) continue
      file.stop()
      this.#files.delete(path)
    }
    this.#names.keep(
      snapshots.flatMap(snapshot => this.#wantedBy(snapshot)),
      this.#asking.lookups,
    )
  }

  #pathsOf({ upstreams }: Snapshot): string[] {
    const paths = upstreams.flatMap(upstream => this.#sourcesOf(upstream).map(it => it.endpointsFile))
    return paths.filter(path => path !== undefined)
  }

  async #openFiles(snapshot: Snapshot): Promise<void> {
    const { log, timers } = this.#parts
    const paths = this.#pathsOf(snapshot)
    for (const path of paths) {
      if (this.#files.has(path)) continue
      const observer = {
        changed: () => this.#fileChanged(path),
        troubled: (file: string, problem: string | undefined) => {
          if (problem === undefined) log.info({ file }, 'endpoints file fine again')
          else log.warn({ file, problem }, 'endpoints file not taken')
        },
      }
      this.#files.set(path, new FileWatch(path, timers, observer))
    }
    await Promise.all(paths.map(path => this.#files.get(path)?.first))
  }

  #fileChanged(file: string): void {
    this.#parts.log.info({ file }, 'endpoints file taken')
    this.#follow()
    this.#parts.changed()
  }

  /** The same as long as the name servers are the same: they remember who of them answers. */
  #askingOf({ server: { resolver } }: Snapshot): Asking {
    if (isDeepStrictEqual(resolver, this.#asking.servers)) return this.#asking
    return {
      servers: resolver,
      lookups: resolver.length === 0 ? new SystemLookups() : new ServerLookups(resolver),
    }
  }

  #dropOverlays({ upstreams }: Snapshot): void {
    for (const [name, overlay] of this.#overlays) {
      const upstream = upstreams.find(it => it.name === name)
      if (upstream !== undefined && configuredText(upstream) === overlay.configured) continue
      this.#overlays.delete(name)
      this.#parts.log.info({ upstream: name }, 'deploy is over: other endpoints are configured')
    }
  }
}

/** Each address once in an upstream, and each name. */
function isNew(taken: Set<string>, { name, address }: EndpointConfig): boolean {
  const keys = [`name ${name}`, `address ${addressText(address)}`]
  if (keys.some(key => taken.has(key))) return false
  for (const key of keys) taken.add(key)
  return true
}

function endpointOf({ name, found }: Member, { protocol }: NamedEndpoints): EndpointConfig {
  const { host, port, weight, backup, target } = found
  const address = { kind: 'tcp', host, port } as const
  return { name, address, protocol, weight, backup, host: target }
}
