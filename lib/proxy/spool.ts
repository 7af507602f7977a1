import type { CellColumn } from '../base/cells.ts'
import type { Descriptors } from '../base/descriptors.ts'
import type { SpoolConfig } from '../config/model.ts'
import { SPOOL_BLOCK, SPOOL_OUTCOMES, SPOOLED, type Spooled, type SpoolOutcome } from './spool-measures.ts'

const AT = SPOOL_BLOCK.at

/** The process's account of descriptors, as far as files of bodies use it. */
export type BodyDescriptors = Pick<Descriptors, 'takeForBody' | 'give'>

const PLENTY: BodyDescriptors = { takeForBody: () => true, give: () => {} }

/**
 * What a data thread's waiting bodies may take, and take. The bounds hold for the process: each thread adds up the columns of
 * all before it takes more, so at worst every thread oversteps by one block.
 */
export class Spool {
  readonly #cells: CellColumn
  readonly #descriptors: BodyDescriptors
  #config: SpoolConfig
  #row: number

  /** `row`: first row of the SPOOL_BLOCK. */
  constructor(cells: CellColumn, config: SpoolConfig, row: number, descriptors: BodyDescriptors = PLENTY) {
    this.#descriptors = descriptors
    this.#cells = cells
    this.#config = config
    this.#row = row
  }

  /** After a reload: for what comes from now on. */
  configure(config: SpoolConfig): void {
    this.#config = config
  }

  get folder(): string {
    return this.#config.folder
  }

  /** Bytes that a body may leave in memory now; with all memory in use none, so that each byte goes to a file. */
  get memoryBytes(): number {
    const { memoryBytes, memoryTotalBytes } = this.#config
    return this.#cells.total(this.#row + AT.memory) < memoryTotalBytes ? memoryBytes : 0
  }

  takeMemory(bytes: number): void {
    this.#cells.add(this.#row + AT.memory, bytes)
  }

  giveMemory(bytes: number): void {
    this.#cells.add(this.#row + AT.memory, -bytes)
  }

  /** False: the files have all the bytes that they may have. */
  takeDisk(bytes: number): boolean {
    if (this.#cells.total(this.#row + AT.disk) + bytes > this.#config.diskBytes) return false
    this.#cells.add(this.#row + AT.disk, bytes)
    return true
  }

  giveDisk(bytes: number): void {
    this.#cells.add(this.#row + AT.disk, -bytes)
  }

  /** Files that are open, in all threads. */
  get files(): number {
    return this.#cells.total(this.#row + AT.files)
  }

  /** False: no descriptor is to spare. */
  takeFile(): boolean {
    if (!this.#descriptors.takeForBody(this.files)) return false
    this.#cells.add(this.#row + AT.files, 1)
    return true
  }

  giveFile(): void {
    this.#cells.add(this.#row + AT.files, -1)
    this.#descriptors.give()
  }

  count(what: Spooled, outcome: SpoolOutcome): void {
    const index = SPOOLED.indexOf(what) * SPOOL_OUTCOMES.length + SPOOL_OUTCOMES.indexOf(outcome)
    this.#cells.add(this.#row + AT.bodies + index, 1)
  }
}
