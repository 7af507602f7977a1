import type { SharedState } from '../lib/base/shared-state.ts'
import type { ControlFacts } from './facts.ts'
import type { Labels } from './labels.ts'
import type { Shelf } from './shelves.ts'

export type FamilyType = 'counter' | 'gauge' | 'histogram'

/** One line of the text format. `sharedLabels` are formatted once for all lines that hold the same object. */
export interface Sample {
  readonly metricName?: string
  readonly labels: Labels
  readonly sharedLabels?: Labels
  readonly value: number
}

/** A label whose values are a closed list, one cell each. */
export interface Axis {
  readonly label: string
  readonly values: readonly string[]
}

/** Whose cells: each kind of object has a block of its own (metrics/blocks.ts, upstreams/measures.ts). */
export type Owner = 'spool' | 'static' | 'listener' | 'exchange' | 'upstream' | 'endpoint'

/** Where a family's numbers are. */
export type Source =
  /** A cell for each combination of the axes, the last axis fastest. */
  | {
      readonly kind: 'cells'
      readonly of: Owner
      readonly at: number
      readonly axes: readonly Axis[]
      readonly zeros: boolean
      /** A cell of the same block: while it is 0 the object has no lines at all. */
      readonly since: number | undefined
    }
  | {
      readonly kind: 'histogram'
      readonly of: Owner
      readonly at: number
      readonly bounds: readonly number[]
    }
  | { readonly kind: 'read'; read(view: View): Sample[] }

/** Cells, one line each. */
export type CellSource = Extract<Source, { kind: 'cells' }>

/** One metric name, with all its series. */
export interface Family {
  readonly name: string
  readonly type: FamilyType
  /** All but `le`. What a block's owner has beyond these is added up. */
  readonly labels: readonly string[]
  readonly help: string
  readonly source: Source
}

/** What a family may read besides cells. */
export interface View {
  /** What the running configuration has: for gauges. */
  readonly live: Shelf
  /** Besides that, what has gone lately: for counters and histograms. */
  readonly kept: Shelf
  readonly shared: SharedState
  readonly facts: ControlFacts
  /** How the scrape before this one went. */
  readonly lastScrape: { readonly series: number; readonly seconds: number }
}

/** A family that is one cell a block. */
export function cell(of: Owner, at: number): CellSource {
  return { kind: 'cells', of, at, axes: [], zeros: true, since: undefined }
}

/** A short closed list: every value is always shown, so that its first event is seen as a step from 0. */
export function list(of: Owner, at: number, label: string, values: readonly string[]): CellSource {
  return { kind: 'cells', of, at, axes: [{ label, values }], zeros: true, since: undefined }
}

/** A short table: every combination is always shown. */
export function short(of: Owner, at: number, axes: readonly Axis[]): CellSource {
  return { kind: 'cells', of, at, axes, zeros: true, since: undefined }
}

/** A long table that is mostly zero: only what has happened is shown. */
export function table(of: Owner, at: number, axes: readonly Axis[]): CellSource {
  return { kind: 'cells', of, at, axes, zeros: false, since: undefined }
}

/** The same, of what most objects never have: shown from the first event on, which `counter` counts. */
export function since(counter: number, source: CellSource): Source {
  return { ...source, since: counter }
}

export function histogram(of: Owner, at: number, bounds: readonly number[]): Source {
  return { kind: 'histogram', of, at, bounds }
}

/**
 * The lines of one histogram, cumulative. `cellAt` gives the cells of a block as lib/base/cells.ts lays them
 * out: buckets, what lies above, sum.
 */
export function pushHistogram(
  out: Sample[],
  name: string,
  labels: Labels,
  bounds: readonly number[],
  cellAt: (index: number) => number,
): void {
  let count = 0
  for (const [i, bound] of bounds.entries()) {
    count += cellAt(i)
    out.push({
      metricName: `${name}_bucket`,
      labels: { le: String(bound) },
      sharedLabels: labels,
      value: count,
    })
  }
  count += cellAt(bounds.length)
  out.push({ metricName: `${name}_bucket`, labels: { le: '+Inf' }, sharedLabels: labels, value: count })
  out.push({ metricName: `${name}_sum`, labels: {}, sharedLabels: labels, value: cellAt(bounds.length + 1) })
  out.push({ metricName: `${name}_count`, labels: {}, sharedLabels: labels, value: count })
}
