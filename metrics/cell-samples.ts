import type { CellReader } from '../lib/base/cells.ts'
import { type Axis, type Family, type Labels, pushHistogram, type Sample, type Source } from './family.ts'
import type { Placed } from './shelves.ts'

type CellSource = Exclude<Source, { kind: 'read' }>

/** All lines of a family whose numbers are cells of `objects`. */
export function cellSamples(
  family: Family,
  source: CellSource,
  objects: readonly Placed[],
  reader: CellReader,
): Sample[] {
  const out: Sample[] = []
  for (const { labels, rows } of groups(ownLabels(family, source), objects)) {
    const cellAt = (index: number) => sumOf(reader, rows, source.at + index)
    if (source.kind === 'histogram') pushHistogram(out, family.name, labels, source.bounds, cellAt)
    else pushCells(out, labels, source.axes, source.zeros, cellAt)
  }
  return out
}

/** Objects that do not differ in the labels shown: their cells are added up. */
interface Group {
  readonly labels: Labels
  readonly rows: number[]
}

function groups(names: readonly string[], objects: readonly Placed[]): Iterable<Group> {
  const byKey = new Map<string, Group>()
  // A family without labels has its one line also when there is no object yet.
  if (names.length === 0) byKey.set('[]', { labels: {}, rows: [] })
  for (const { labels, row } of objects) {
    const values = names.map(name => labels[name] ?? '')
    const key = JSON.stringify(values)
    const known = byKey.get(key)
    if (known !== undefined) known.rows.push(row)
    else byKey.set(key, { labels: labelsOf(names, values), rows: [row] })
  }
  return byKey.values()
}

function ownLabels(family: Family, source: CellSource): readonly string[] {
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

function sumOf(reader: CellReader, rows: readonly number[], offset: number): number {
  let sum = 0
  for (const row of rows) sum += reader.total(row + offset)
  return sum
}
