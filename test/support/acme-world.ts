import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { Test } from 'tap'
import { AcmeKeeper } from '../../lib/acme/keeper.ts'
import type { NameFacts } from '../../lib/acme/name-keeper.ts'
import { type Clock, systemClock } from '../../lib/base/clock.ts'
import type { KeyPair } from '../../lib/base/key-pair.ts'
import { createLogger } from '../../lib/base/log.ts'
import { Timers } from '../../lib/base/timers.ts'
import type { AcmeConfig } from '../../lib/config/tls-model.ts'
import { ACME_CHALLENGE_PATH } from '../../lib/http/acme-challenge.ts'
import { Pebble, type PebbleOptions } from './pebble.ts'
import { until } from './until.ts'

/** The machine's clock, which a test can put forward. */
export class JumpingClock implements Clock {
  aheadMs = 0

  now(): number {
    return systemClock.now() + this.aheadMs
  }

  wall(): number {
    return systemClock.wall() + this.aheadMs
  }
}

const TICK_MS = 50

/** A keeper of certificates under test, and what it says. */
export class KeeperUnderTest {
  readonly clock = new JumpingClock()
  readonly lines: Readonly<Record<string, unknown>>[] = []
  readonly timers = new Timers(this.clock)
  readonly keeper: AcmeKeeper
  /** What served, each time that the data threads were told. */
  readonly published: (readonly KeyPair[])[] = []
  #ticking: NodeJS.Timeout | undefined = undefined

  constructor(random: () => number = Math.random) {
    const sink = { write: (line: string) => void this.lines.push(JSON.parse(line)) }
    this.keeper = new AcmeKeeper({
      clock: this.clock,
      timers: this.timers,
      random,
      log: createLogger('debug', sink),
      publish: async () => {
        this.published.push(this.keeper.pairs)
      },
    })
  }

  said(message: string): Readonly<Record<string, unknown>>[] {
    return this.lines.filter(({ msg }) => msg === message)
  }

  /**
   * Deadlines run by the clock alone: to the timers' own ticking a clock that is put forward is a pause of
   * the machine, in which nothing is due.
   */
  begin(): void {
    this.#ticking = setInterval(() => this.timers.advance(), TICK_MS)
  }

  async end(): Promise<void> {
    await this.keeper.stop()
    clearInterval(this.#ticking)
  }

  facts(name: string): NameFacts {
    const facts = this.keeper.facts.find(one => one.name === name)
    if (facts === undefined) throw new Error(`nothing is known of ${name}`)
    return facts
  }

  /** Waits until a name is in this state. */
  async untilState(name: string, state: NameFacts['state']): Promise<NameFacts> {
    await until(
      () =>
        `${name} to be ${state}; it is ${JSON.stringify(this.facts(name))}\n${JSON.stringify(this.lines)}`,
      () => this.facts(name).state === state,
      30_000,
    )
    return this.facts(name)
  }
}

/**
 * A Pebble, and what answers its challenges out of the keepers that run: ports that stand for our listeners.
 */
export class AcmeWorld {
  readonly pebble: Pebble
  readonly folder: string
  readonly #web: Web
  readonly #t: Test

  static async start(t: Test, options: Omit<PebbleOptions, 'httpPort' | 'tlsPort'> = {}): Promise<AcmeWorld> {
    const web = await Web.start(t)
    const { httpPort, tlsPort } = web
    const pebble = await Pebble.start(t, { ...options, httpPort, tlsPort })
    return new AcmeWorld(t, pebble, web)
  }

  private constructor(t: Test, pebble: Pebble, web: Web) {
    this.#t = t
    this.pebble = pebble
    this.#web = web
    this.folder = `${t.testdir()}/state/acme`
  }

  /** Switched off, it is as if something in front ended TLS. */
  set answersAlpn(answers: boolean) {
    this.#web.answersAlpn = answers
  }

  config(more: Partial<AcmeConfig> = {}): AcmeConfig {
    return {
      directory: this.pebble.directory,
      email: undefined,
      folder: this.folder,
      ca: this.pebble.ca,
      challenges: ['tls-alpn-01', 'http-01'],
      keyType: 'ecdsa',
      externalAccount: undefined,
      ...more,
    }
  }

  /** A keeper that orders for these names, which all lead here. */
  start(names: readonly string[], more: Partial<AcmeConfig> = {}): KeeperUnderTest {
    for (const name of names) this.pebble.names.set(name, '127.0.0.1')
    return this.startUnnamed(names, more)
  }

  /** The same for names that lead nowhere, unless they were set before. */
  startUnnamed(names: readonly string[], more: Partial<AcmeConfig> = {}): KeeperUnderTest {
    const under = new KeeperUnderTest()
    this.#web.keepers.add(under.keeper)
    this.#t.teardown(() => this.end(under))
    under.begin()
    const trouble = under.keeper.configure(this.config(more), names)
    if (trouble !== undefined) throw new Error(trouble)
    under.keeper.start()
    return under
  }

  async end(under: KeeperUnderTest): Promise<void> {
    await under.end()
    this.#web.keepers.delete(under.keeper)
  }

  /** Questions about challenges so far, by kind. */
  get asked(): { readonly http: number; readonly alpn: number } {
    const { http, alpn } = this.#web
    return { http, alpn }
  }

  /** Path of a file in the folder of accounts and certificates. */
  path(...names: readonly string[]): string {
    return join(this.folder, ...names)
  }

  /** Orders that Pebble has had. */
  get orders(): number {
    return this.pebble.count(/Added order/)
  }

  get accounts(): number {
    return this.pebble.count(/There are now \d+ accounts in memory/)
  }
}

class Web {
  answersAlpn = true
  readonly keepers = new Set<AcmeKeeper>()
  http = 0
  alpn = 0
  readonly #plain: Server
  readonly #tls: TlsServer

  static async start(t: Pick<Test, 'teardown'>): Promise<Web> {
    const web = new Web()
    await Promise.all([listen(web.#plain), listen(web.#tls)])
    t.teardown(() => {
      web.#plain.close()
      web.#plain.closeAllConnections()
      web.#tls.close()
    })
    return web
  }

  constructor() {
    this.#plain = createServer(({ url = '' }, answer) => {
      const key = this.#http.get(url.slice(ACME_CHALLENGE_PATH.length))
      if (key === undefined) answer.writeHead(404).end()
      else answer.writeHead(200).end(key)
    })
    this.#tls = createTlsServer({
      ALPNProtocols: ['acme-tls/1'],
      SNICallback: (name, take) => {
        const pair = [...this.keepers]
          .flatMap(({ challenges }) => challenges.alpn)
          .find(one => one.names.includes(name))
        if (pair === undefined || !this.answersAlpn) return take(new Error(`no challenge for ${name}`))
        this.alpn += 1
        take(null, createSecureContext({ cert: pair.certificate, key: pair.key }))
      },
    })
    this.#tls.on('tlsClientError', () => undefined)
    this.#tls.on('secureConnection', socket => socket.on('error', () => undefined))
  }

  get httpPort(): number {
    return (this.#plain.address() as AddressInfo).port
  }

  get tlsPort(): number {
    return (this.#tls.address() as AddressInfo).port
  }

  get #http(): Map<string, string> {
    this.http += 1
    return new Map([...this.keepers].flatMap(({ challenges }) => challenges.http))
  }
}

function listen(server: Server | TlsServer): Promise<void> {
  return new Promise(done => server.listen(0, '127.0.0.1', done))
}
