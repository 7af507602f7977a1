import type { CellReader } from '../lib/base/cells.ts'
import { type Axis, type Family, pushHistogram, type Sample, type Source } from './family.ts'
import type { Labels } from './labels.ts'
import type { Placed, Rest } from './shelves.ts'

type BlockSource = Exclude<Source, { kind: 'read' }>

/** All lines of a family whose numbers are cells of `objects`. */
export function cellSamples(
  family: Family,
  source: BlockSource,
  objects: readonly Placed[],
  reader: CellReader,
  rest: Rest = NOTHING,
): Sample[] {
  const out: Sample[] = []
  for (const { labels, rows, sums } of groups(ownLabels(family, source), objects, rest)) {
    const cellAt = (index: number) => sumOf(reader, rows, sums, source.at + index)
    if (source.kind === 'histogram') pushHistogram(out, family.name, labels, source.bounds, cellAt)
    else if (source.since === undefined || sumOf(reader, rows, sums, source.since) !== 0)
      pushCells(out, labels, source.axes, source.zeros, cellAt)
  }
  return out
}

/** Objects that do not differ in the labels shown: their cells are added up. */
interface Group {
  readonly labels: Labels
  readonly rows: number[]
  /** Cells of blocks that are another's by now. */
  readonly sums: Float64Array[]
}

const NOTHING: Rest = { objects: [], sums: new Map() }

function groups(names: readonly string[], objects: readonly Placed[], rest: Rest): Iterable<Group> {
  const byKey = new Map<string, Group>()
  // A family without labels has its one line also when there is no object yet.
  if (names.length === 0) byKey.set('[]', { labels: {}, rows: [], sums: [] })
  for (const { labels, row } of objects) {
    const values = names.map(name => labels[name] ?? '')
    const key = JSON.stringify(values)
    const known = byKey.get(key)
    if (known !== undefined) known.rows.push(row)
    else byKey.set(key, { labels: labelsOf(names, values), rows: [row], sums: [] })
  }
  // One object alone goes with its counters. A sum over several must not fall when one of them goes.
  if (!names.includes('listener')) addRest(byKey, names, rest)
  return byKey.values()
}

function addRest(byKey: ReadonlyMap<string, Group>, names: readonly string[], rest: Rest): void {
  const groupOf = (labels: Labels) => byKey.get(JSON.stringify(names.map(name => labels[name] ?? '')))
  for (const { labels, row } of rest.objects) groupOf(labels)?.rows.push(row)
  for (const [route, sums] of rest.sums) groupOf({ route })?.sums.push(sums)
}

function ownLabels(family: Family, source: BlockSource): readonly string[] {
  if (source.kind === 'histogram') return family.labels
  return family.labels.filter(label => source.axes.every(axis => axis.label !== label))
}

function pushCells(
  out: Sample[],
  labels: Labels,
  axes: readonly Axis[],
  zeros: boolean,
  cellAt: (index: number) => number,
): void {
  const size = axes.reduce((product, axis) => product * axis.values.length, 1)
  for (let index = 0; index < size; index += 1) {
    const value = cellAt(index)
    if (value !== 0 || zeros) out.push({ labels: axisLabels(axes, index), sharedLabels: labels, value })
  }
}

function axisLabels(axes: readonly Axis[], index: number): Labels {
  const pairs: [string, string][] = []
  let rest = index
  for (const { label, values } of axes.toReversed()) {
    pairs.unshift([label, values[rest % values.length] as string])
    rest = Math.floor(rest / values.length)
  }
  return Object.fromEntries(pairs)
}

function labelsOf(names: readonly string[], values: readonly string[]): Labels {
  return Object.fromEntries(names.map((name, i) => [name, values[i] as string]))
}

function sumOf(
  reader: CellReader,
  rows: readonly number[],
  sums: readonly Float64Array[],
  offset: number,
): number {
  let sum = 0
  for (const cells of sums) sum += cells[offset] as number
  for (const row of rows) sum += reader.total(row + offset)
  return sum
}
