import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../lib/base/clock.ts'
import { Timers } from '../../lib/base/timers.ts'
import type { Traffic } from './alibi.ts'
import { type Health, type Probe, serving, UNKNOWN } from './health.ts'
import { type ProbeTarget, probeKey } from './probe-target.ts'
import { type ProbeStatus, Watch, type WatchContext } from './watch.ts'

/** What the prober tells the control thread. */
export interface ProberOptions {
  readonly clock: Clock
  /** Uniform in [0, 1). */
  random(): number
  /**
   * An endpoint went down or came up; `lastedMs` is how long it had been the other way. Also called with `up`
   * for an endpoint that was down when it left the targets: nobody watches it any more, and its index must
   * not stay marked.
   */
  onChange(upstream: string, endpoint: string, health: Health, lastedMs: number): void
  /** Every probe. */
  onResult?(upstream: string, endpoint: string, probe: Probe, durationMs: number): void
  /** A probe could not be made, for want of something here. */
  onWant?(): void
  /** For tests that move the clock themselves; otherwise the prober ticks its own. */
  readonly timers?: Timers
  /**
   * True for an endpoint that gets traffic when its watch begins: then it does until a probe fails. Default:
   * it waits for a pass.
   */
  serves?(upstream: string, endpoint: string): boolean
  /** True while nothing of the upstream is ready. Default: never. */
  isHeld?(upstream: string): boolean
  /** What traffic shows of an endpoint, so that a busy one is not taken for a dead one. Default: nothing. */
  traffic?(upstream: string, endpoint: string): Traffic | undefined
}

/**
 * Active health checks of all upstreams, in the control thread. An endpoint that nobody knows has to pass its
 * first probe before it counts as up.
 */
export class Prober {
  readonly #options: ProberOptions
  readonly #ownTimers: Timers | undefined
  readonly #context: WatchContext
  readonly #watches = new Map<string, Watch>()

  constructor(options: ProberOptions) {
    this.#options = options
    this.#ownTimers = options.timers === undefined ? new Timers(options.clock) : undefined
    this.#ownTimers?.start()
    this.#context = contextOf(options, options.timers ?? (this.#ownTimers as Timers))
  }

  /**
   * Watches exactly these from now on. An endpoint whose address has not changed keeps its health; one that
   * has not changed at all does not even notice.
   */
  reconcile(targets: readonly ProbeTarget[]): void {
    const wanted = new Map(targets.map(target => [probeKey(target.upstream, target.endpoint), target]))
    for (const [key, watch] of this.#watches) {
      const target = wanted.get(key)
      if (target === undefined || !isDeepStrictEqual(target.address, watch.target.address))
        this.#forget(key, watch, target !== undefined)
    }
    for (const [key, target] of wanted) {
      const watch = this.#watches.get(key)
      if (watch === undefined) this.#watches.set(key, new Watch(target, this.#initial(target), this.#context))
      else if (!isDeepStrictEqual(target, watch.target)) watch.retarget(target)
    }
  }

  /**
   * Probes an endpoint now, or 100 ms after its last probe began; nothing for one that is not probed at all.
   */
  hasten(upstream: string, endpoint: string): void {
    this.#watches.get(probeKey(upstream, endpoint))?.hasten()
  }

  /** What is known of an endpoint by its `probeKey`; undefined if it is not probed. */
  status(key: string): ProbeStatus | undefined {
    return this.#watches.get(key)?.status
  }

  /** Ends all watches and the probes under way. Reports nothing any more. */
  async stop(): Promise<void> {
    const watches = [...this.#watches.values()]
    this.#watches.clear()
    this.#ownTimers?.stop()
    await Promise.all(watches.map(watch => watch.stop()))
  }

  #initial({ upstream, endpoint, health }: ProbeTarget): Health {
    return this.#options.serves?.(upstream, endpoint) === true ? serving(health) : UNKNOWN
  }

  /** `moved`: the name has another address now, about which nothing is to be said. */
  #forget(key: string, watch: Watch, moved: boolean): void {
    const { health, sinceMs } = watch.status
    const { upstream, endpoint } = watch.target
    this.#watches.delete(key)
    void watch.stop()
    if (health.state === 'up' || moved) return
    this.#options.onChange(upstream, endpoint, { state: 'up', fails: 0 }, this.#options.clock.now() - sinceMs)
  }
}

function contextOf(options: ProberOptions, timers: Timers): WatchContext {
  return {
    clock: options.clock,
    timers,
    random: () => options.random(),
    isHeld: upstream => options.isHeld?.(upstream) === true,
    traffic: ({ upstream, endpoint }) => options.traffic?.(upstream, endpoint),
    changed({ upstream, endpoint }, health, lastedMs) {
      options.onChange(upstream, endpoint, health, lastedMs)
    },
    notProbed: () => options.onWant?.(),
    probed({ upstream, endpoint }, probe, durationMs) {
      options.onResult?.(upstream, endpoint, probe, durationMs)
    },
  }
}
