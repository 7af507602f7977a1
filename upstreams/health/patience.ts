import { formatDuration } from '../../lib/base/units.ts'
import { alibiOf, type Traffic } from './alibi.ts'
import type { Health, Probe } from './health.ts'

/**
 * Compares the traffic of one endpoint with its probes: for how long it has been silent, and whether it had
 * to be.
 */
export class Patience {
  readonly #traffic: () => Traffic | undefined
  /** When the probe before the present one began, and this one. */
  #before: Traffic | undefined
  #started: Traffic | undefined
  /** The last sign of life. */
  #aliveAtMs: number
  #signs = 0

  constructor(traffic: () => Traffic | undefined, nowMs: number) {
    this.#traffic = traffic
    this.#aliveAtMs = nowMs
  }

  /** A probe begins. */
  probing(nowMs: number): void {
    const now = this.#look(nowMs)
    this.#before = this.#started ?? now
    this.#started = now
  }

  /** The probe, with its alibi if it has one. An endpoint that is not up has to pass. */
  judge(probe: Probe, { state }: Health, nowMs: number): Probe {
    const now = this.#look(nowMs)
    if (probe.ok) this.#aliveAtMs = nowMs
    if (probe.ok || probe.unanswered !== true || state !== 'up') return probe
    const before = this.#before
    const started = this.#started
    if (before === undefined || started === undefined || now === undefined) return probe
    const silentMs = nowMs - this.#aliveAtMs
    const alibi = alibiOf({ before, started, now, silentMs })
    if (alibi === undefined) return { ...probe, reason: `${probe.reason}${silence(now, silentMs)}` }
    return { ...probe, alibi, reason: `${probe.reason}; not counted as a failure: ${runsText(now)}` }
  }

  #look(nowMs: number): Traffic | undefined {
    const now = this.#traffic()
    if (now !== undefined && now.signs !== this.#signs) {
      this.#signs = now.signs
      this.#aliveAtMs = nowMs
    }
    return now
  }
}

function runsText({ running, slots }: Traffic): string {
  return slots > 0 ? `${running} of ${slots} slots are occupied` : `it is responding to ${running} requests`
}

/** A hung app's reason says what hangs. */
function silence({ running, slots }: Traffic, silentMs: number): string {
  if (running === 0 || silentMs < 1000) return ''
  const taken =
    slots > 0 ? `${running} of ${slots} slots are occupied, and` : `${running} requests are in flight, and`
  return `; ${taken} there was no response for ${formatDuration(Math.round(silentMs / 1000) * 1000)}`
}
