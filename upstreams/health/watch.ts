import type { Clock } from '../../lib/base/clock.ts'
import type { Deadline, Timers } from '../../lib/base/timers.ts'
import { formatDuration } from '../../lib/base/units.ts'
import type { Traffic } from './alibi.ts'
import { afterProbe, type Health, isFlip, type Probe } from './health.ts'
import { probeHttp } from './http-probe.ts'
import { paceMs } from './pace.ts'
import { Patience } from './patience.ts'
import { ProbeLimit } from './probe-limit.ts'
import type { ProbeTarget } from './probe-target.ts'
import { probeTcp } from './tcp-probe.ts'
import { probeUwsgi } from './uwsgi-probe.ts'

/**
 * Time between two probes varies by this share to both sides, so that probes of many endpoints and proxies
 * spread out.
 */
const JITTER = 0.1
/** However urgent: no two probes of an endpoint begin within this time. */
const MIN_GAP_MS = 100

/** What happened at the last probe, for people. */
export interface ProbeStatus {
  readonly health: Health
  /** On the process clock: when the endpoint went up or down, or when the watch began. */
  readonly sinceMs: number
  /** End of the last probe; undefined before the first. */
  readonly probedAtMs: number | undefined
  readonly durationMs: number | undefined
  /** A probe is under way now. */
  readonly probing: boolean
}

/** What a watch needs of the outside. */
export interface WatchContext {
  readonly clock: Clock
  readonly timers: Timers
  random(): number
  /** Nothing of the upstream is ready. */
  isHeld(upstream: string): boolean
  /** What traffic shows of the endpoint; undefined where nobody knows. */
  traffic(target: ProbeTarget): Traffic | undefined
  changed(target: ProbeTarget, health: Health, lastedMs: number): void
  probed(target: ProbeTarget, probe: Probe, durationMs: number): void
  /** A probe could not be made, for want of something here. */
  notProbed(): void
}

/** Probes one endpoint for as long as it is watched: at once, then again and again, never two at a time. */
export class Watch implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #context: WatchContext
  #target: ProbeTarget
  #health: Health
  #sinceMs: number
  #startedMs = Number.NEGATIVE_INFINITY
  #probedAtMs: number | undefined
  #durationMs: number | undefined
  /** Traffic has failed there, and no probe has passed since. */
  #suspected = false
  /** Asked for while a probe was under way, which may have begun before the trouble, or goes by old rules. */
  #again = false
  #stopped = false
  readonly #patience: Patience
  #limit: ProbeLimit | undefined
  #running: Promise<void> | undefined

  constructor(target: ProbeTarget, health: Health, context: WatchContext) {
    this.#target = target
    this.#context = context
    this.#health = health
    this.#sinceMs = context.clock.now()
    this.#patience = new Patience(() => context.traffic(this.#target), this.#sinceMs)
    this.expired()
  }

  get target(): ProbeTarget {
    return this.#target
  }

  get status(): ProbeStatus {
    return {
      health: this.#health,
      sinceMs: this.#sinceMs,
      probedAtMs: this.#probedAtMs,
      durationMs: this.#durationMs,
      probing: this.#running !== undefined,
    }
  }

  /** The same endpoint by other rules: what is known of it stays, and the new rules are tried at once. */
  retarget(target: ProbeTarget): void {
    this.#target = target
    if (this.#running === undefined) this.expired()
    else this.#again = true
  }

  /**
   * Something failed there, or is waited for: probes now, or as soon as the last probe is not that fresh any
   * more.
   */
  hasten(): void {
    this.#suspected = true
    if (this.#running === undefined) this.#soon()
    else this.#again = true
  }

  /** Ends the watch, and a probe that is under way; resolves when its socket has been given up. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#context.timers.disarm(this)
    this.#limit?.giveUp()
    await this.#running
  }

  /** Time for the next probe. */
  expired(): void {
    this.#context.timers.disarm(this)
    this.#running = this.#probe().catch((error: unknown) => this.#broke(error))
  }

  /** A mistake of ours says nothing about the endpoint, and the next probe comes all the same. */
  #broke(error: unknown): void {
    this.#running = undefined
    this.#limit = undefined
    this.#context.timers.report(error)
    this.#next()
  }

  async #probe(): Promise<void> {
    const { clock, timers } = this.#context
    const target = this.#target
    const startMs = clock.now()
    const limit = new ProbeLimit(clock, timers, target.health.timeoutMs)
    this.#limit = limit
    this.#startedMs = startMs
    this.#patience.probing(startMs)
    const found = await probeOf(target)(target, limit.signal)
    const inTime = limit.end()
    if (this.#stopped) return
    const nowMs = clock.now()
    const probe = inTime ? found : late(found, target)
    this.#take(target, this.#patience.judge(probe, this.#health, nowMs), startMs, nowMs)
  }

  #take(target: ProbeTarget, probe: Probe, startMs: number, nowMs: number): void {
    const before = this.#health
    const lastedMs = nowMs - this.#sinceMs
    const durationMs = nowMs - startMs
    this.#health = afterProbe(before, probe, target.health)
    this.#probedAtMs = nowMs
    this.#durationMs = durationMs
    if ((probe.ok || probe.alibi === 'alive') && !this.#again) this.#suspected = false
    if (before.state !== this.#health.state) this.#sinceMs = nowMs
    this.#running = undefined
    this.#limit = undefined
    // A check that could not be made is none.
    if (probe.ok || probe.local !== true) this.#context.probed(target, probe, durationMs)
    else this.#context.notProbed()
    if (isFlip(before, this.#health)) this.#context.changed(target, this.#health, lastedMs)
    // Only now is it known whether anything else of the upstream is ready.
    this.#next()
  }

  #next(): void {
    const again = this.#again
    this.#again = false
    // Whoever was told has hastened it, or ended it.
    if (this.#stopped || this.tick !== undefined || this.#running !== undefined) return
    if (again) this.#soon()
    else this.#armAfter(this.#intervalMs())
  }

  #soon(): void {
    if (this.#context.clock.now() - this.#startedMs >= MIN_GAP_MS) return this.expired()
    this.#context.timers.disarm(this)
    this.#armAfter(MIN_GAP_MS)
  }

  /** So long after the start of the last probe. */
  #armAfter(gapMs: number): void {
    const leftMs = this.#startedMs + gapMs - this.#context.clock.now()
    this.#context.timers.arm(this, Math.max(0, leftMs))
  }

  #intervalMs(): number {
    const { clock, random, isHeld } = this.#context
    const ms = paceMs({
      intervalMs: this.#target.health.intervalMs,
      health: this.#health,
      lastedMs: clock.now() - this.#sinceMs,
      held: isHeld(this.#target.upstream),
      suspected: this.#suspected,
    })
    return ms * (1 + JITTER * (2 * random() - 1))
  }
}

function probeOf({
  health,
  protocol,
}: ProbeTarget): (target: ProbeTarget, signal: AbortSignal) => Promise<Probe> {
  if (health.kind === 'tcp') return probeTcp
  return protocol === 'uwsgi' ? probeUwsgi : probeHttp
}

/**
 * What came too late is as good as nothing, but for the reason; an answer that was late was an answer all the
 * same.
 */
function late(probe: Probe, { health }: ProbeTarget): Probe {
  if (!probe.ok && probe.local === true) return probe
  const detail = probe.ok ? '' : ` (${probe.reason})`
  const reason = `timed out after ${formatDuration(health.timeoutMs)}${detail}`
  return probe.ok || probe.unanswered === true
    ? { ok: false, reason, unanswered: true }
    : { ok: false, reason }
}
