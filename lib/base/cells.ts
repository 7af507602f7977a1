/**
 * Counters that all threads share. One Float64 column a data thread: only that thread writes it, the control
 * thread adds the columns up at scrape time. So counting is a plain addition, and a total never falls: a
 * thread that is replaced goes on in the column of its predecessor.
 */
export interface CellMemory {
  readonly buffer: SharedArrayBuffer
  readonly rows: number
  readonly columns: number
}

/**
 * Rows of one column, unless said. 256 Ki rows are 2 MiB of address space a thread; pages that nobody touches
 * cost nothing.
 */
export const DEFAULT_ROWS = 256 * 1024

export function createCellMemory(columns: number, rows = DEFAULT_ROWS): CellMemory {
  return { buffer: new SharedArrayBuffer(rows * columns * Float64Array.BYTES_PER_ELEMENT), rows, columns }
}

/** What one data thread writes with. Hot: `add` is one load and one store. */
export class CellColumn {
  readonly #cells: Float64Array
  readonly #all: CellReader

  constructor(memory: CellMemory, column: number) {
    this.#all = new CellReader(memory)
    this.#cells = new Float64Array(memory.buffer, column * memory.rows * 8, memory.rows)
  }

  add(row: number, amount: number): void {
    this.#cells[row] = (this.#cells[row] as number) + amount
  }

  /** Adds one observation to a histogram block that starts at `row` (see `histogramSize`). */
  observe(row: number, bounds: readonly number[], value: number): void {
    const cells = this.#cells
    let i = 0
    while (i < bounds.length && value > (bounds[i] as number)) i += 1
    cells[row + i] = (cells[row + i] as number) + 1
    const sum = row + bounds.length + 1
    cells[sum] = (cells[sum] as number) + value
  }

  get(row: number): number {
    return this.#cells[row] as number
  }

  /** Sum over all threads. For rare decisions (a limit at accept), not for each request. */
  total(row: number): number {
    return this.#all.total(row)
  }

  /** Only for a gauge of this column that is measured as a whole, starts anew, or whose thread has died. */
  set(row: number, value: number): void {
    this.#cells[row] = value
  }
}

/** What the control thread reads with. */
export class CellReader {
  readonly #cells: Float64Array
  readonly #memory: CellMemory

  constructor(memory: CellMemory) {
    this.#memory = memory
    this.#cells = new Float64Array(memory.buffer)
  }

  /** The sum of a row over all columns. */
  total(row: number): number {
    let sum = 0
    for (let column = 0; column < this.#memory.columns; column += 1) {
      sum += this.#cells[column * this.#memory.rows + row] as number
    }
    return sum
  }
}

/**
 * A histogram takes bounds.length + 2 rows: a bucket for each bound (not cumulative), one for what lies above
 * the last, and the sum of the values.
 */
export function histogramSize(bounds: readonly number[]): number {
  return bounds.length + 2
}

/** Where the parts of one object's cells stand, counted from the object's first row. */
export interface BlockLayout<K extends string> {
  readonly size: number
  readonly at: Readonly<Record<K, number>>
}

/** Lays parts out one behind the other; a part's number is how many rows it takes. */
export function defineBlock<K extends string>(parts: Readonly<Record<K, number>>): BlockLayout<K> {
  const at = {} as Record<K, number>
  let size = 0
  for (const name of Object.keys(parts) as K[]) {
    at[name] = size
    size += parts[name]
  }
  return { size, at }
}

/**
 * Hands out rows by name. A name keeps its rows for the life of the process; who has them in turn is a
 * ledger's matter.
 */
export class RowAllocator {
  readonly #starts = new Map<string, number>()
  readonly #capacity: number
  #next = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** First row of `size` rows under this name; undefined once all rows are taken. */
  rowOf(name: string, size: number): number | undefined {
    const known = this.#starts.get(name)
    if (known !== undefined) return known
    if (this.#next + size > this.#capacity) return undefined
    const start = this.#next
    this.#starts.set(name, start)
    this.#next += size
    return start
  }
}

/** Bounds of latencies that a person can feel, in seconds. */
export const LATENCY_BOUNDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const
/** Bounds of what a proxy adds by itself, in seconds. */
export const FINE_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1] as const
/** Bounds of a connect, in seconds. */
export const CONNECT_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5,
] as const
