import type { Health } from '../../upstreams/health/health.ts'
import type { UpstreamObserver, UpstreamPlacement } from '../../upstreams/upstream.ts'
import type { CellReader } from '../base/cells.ts'
import { STATE } from '../base/shared-state.ts'
import type { Timers } from '../base/timers.ts'
import type { UpstreamConfig } from '../config/model.ts'
import { Ejection } from '../server/health/ejection.ts'
import { OutlierWatch } from '../server/health/outlier-watch.ts'
import { reviveAfterMs } from '../server/health/revival.ts'
import { SlowStart } from '../server/health/slow-start.ts'
import { AdaptiveWatch } from '../server/load/adaptive-watch.ts'
import type { Agenda } from './agenda.ts'
import type { App } from './app.ts'
import { Probing } from './probing.ts'
import type { VirtualState } from './virtual-state.ts'

/** What the control thread is given. */
export interface ControlOptions {
  readonly agenda: Agenda
  readonly timers: Timers
  readonly shared: VirtualState
  readonly cells: CellReader
  readonly config: UpstreamConfig
  readonly placement: UpstreamPlacement
  /** By the index of their endpoint. */
  readonly apps: readonly App[]
  /** Uniform in [0, 1). */
  random(): number
}

interface Patient {
  readonly index: number
  readonly ejection: Ejection
  /** undefined: the endpoint is not probed. */
  readonly probing: Probing | undefined
}

/**
 * The part of the control thread that a dispatcher needs, for the one upstream of a simulation. What needs no
 * sockets is the real one: ejections, outliers, slow starts, learned limits.
 */
export class Control implements UpstreamObserver {
  readonly #options: ControlOptions
  readonly #slowStart: SlowStart
  readonly #outliers: OutlierWatch
  readonly #patients: ReadonlyMap<string, Patient>

  constructor(options: ControlOptions) {
    const { agenda, timers, shared, cells, config } = options
    this.#options = options
    this.#slowStart = new SlowStart({ clock: agenda, timers, shared })
    this.#patients = new Map(config.endpoints.map(({ name }, index) => [name, this.#patient(index)]))
    const pools = () => [{ config, place: options.placement }]
    this.#outliers = new OutlierWatch({
      cells,
      shared,
      timers,
      pools,
      eject: (_upstream, endpoint) => this.#eject(endpoint),
    })
    new AdaptiveWatch({ cells, shared, timers, pools }).look()
  }

  endpointEjected(_upstream: string, endpoint: string): void {
    this.#wentOut(endpoint)?.ejection.begin(this.#options.config.passive.ejectMs)
  }

  /** Simulated apps write their answers whole. */
  endpointStalls(): void {}

  endpointUnreachable(_upstream: string, endpoint: string): void {
    const patient = this.#wentOut(endpoint)
    if (patient !== undefined) this.#connectLater(patient.index, 0, this.#options.agenda.now())
  }

  endpointSuspect(_upstream: string, endpoint: string): void {
    this.#patients.get(endpoint)?.probing?.hasten()
  }

  #patient(index: number): Patient {
    const { agenda, timers, random, apps, config } = this.#options
    const ejection = new Ejection({ clock: agenda, timers, random, over: () => this.#readmit(index) })
    if (config.health === undefined) return { index, ejection, probing: undefined }
    const probing = new Probing({
      agenda,
      rules: config.health,
      random,
      probe: () => (apps[index] as App).probe(random()),
      held: () => this.#held(),
      passed: () => this.#clear(index, STATE.unreachable),
      flipped: health => this.#flip(index, health, ejection),
    })
    return { index, ejection, probing }
  }

  #wentOut(endpoint: string): Patient | undefined {
    const patient = this.#patients.get(endpoint)
    if (patient !== undefined) {
      this.#slowStart.end(patient.index)
      this.#outliers.forget(patient.index)
    }
    return patient
  }

  #connectLater(index: number, failures: number, beganMs: number): void {
    const { agenda, apps } = this.#options
    agenda.after(reviveAfterMs(failures, agenda.now() - beganMs, this.#held()), () => {
      if (apps[index]?.listens === true) this.#clear(index, STATE.unreachable)
      else this.#connectLater(index, failures + 1, beganMs)
    })
  }

  /** Nothing is ready: requests wait. */
  #held(): boolean {
    const { shared, apps } = this.#options
    return apps.every((_, index) => shared.state(index) !== 0)
  }

  /** False if it is out already. */
  #eject(endpoint: string): boolean {
    const { shared, config } = this.#options
    const patient = this.#patients.get(endpoint)
    if (patient === undefined || !shared.setState(patient.index, STATE.ejected, true)) return false
    this.endpointEjected(config.name, endpoint)
    shared.changed(this.#options.placement.index)
    return true
  }

  #readmit(index: number): void {
    this.#options.shared.clearFailures(index)
    this.#clear(index, STATE.ejected)
  }

  #flip(index: number, health: Health, ejection: Ejection): void {
    const { shared, placement } = this.#options
    if (health.state === 'up') {
      ejection.forgive()
      this.#clear(index, STATE.down)
    } else if (shared.setState(index, STATE.down, true)) {
      this.#slowStart.end(index)
      shared.changed(placement.index)
    }
  }

  /** One of the reasons is gone why an endpoint gets no traffic; after the last one it starts slowly. */
  #clear(index: number, bit: number): void {
    const { shared, config, placement } = this.#options
    const bits = shared.state(index)
    if ((bits & bit) === 0) return
    if (bits === bit) this.#slowStart.begin(index, placement.index, config.slowStartMs)
    shared.setState(index, bit, false)
    shared.changed(placement.index)
  }
}
