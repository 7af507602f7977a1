/**
 * What befalls an endpoint. `down`: its process is killed. `restart`: it takes no more, and finishes what it
 * runs; what waits in its listen queue is lost. `hung`: it is stopped, and goes on where it was. `slow`: what
 * it begins takes `factor` times as long. `errors`: this share of its answers is 500, after the time that a
 * good one takes.
 */
export type Fault = {
  readonly fromMs: number
  /** Infinity: for good. */
  readonly toMs: number
} & (
  | { readonly kind: 'down' | 'restart' | 'hung' }
  | { readonly kind: 'slow'; readonly factor: number }
  | { readonly kind: 'errors'; readonly share: number }
)

export const FAULT_KINDS = ['down', 'restart', 'hung', 'slow', 'errors'] as const

/** The faults of one endpoint. */
export class Faults {
  readonly all: readonly Fault[]

  constructor(all: readonly Fault[]) {
    this.all = all
  }

  /** Connects are refused. */
  refuses(nowMs: number): boolean {
    return this.#any('down', nowMs) || this.#any('restart', nowMs)
  }

  hung(nowMs: number): boolean {
    return this.#any('hung', nowMs)
  }

  /** How many times longer the work takes that begins now. */
  slowFactor(nowMs: number): number {
    let factor = 1
    for (const fault of this.all) if (fault.kind === 'slow' && covers(fault, nowMs)) factor *= fault.factor
    return factor
  }

  /** `draw` is uniform in [0, 1). */
  answersError(nowMs: number, draw: number): boolean {
    return this.all.some(fault => fault.kind === 'errors' && covers(fault, nowMs) && draw < fault.share)
  }

  #any(kind: Fault['kind'], nowMs: number): boolean {
    return this.all.some(fault => fault.kind === kind && covers(fault, nowMs))
  }
}

function covers({ fromMs, toMs }: Fault, nowMs: number): boolean {
  return nowMs >= fromMs && nowMs < toMs
}
