import { Arena, type ArenaBudget, type Extent } from '../base/arena.ts'
import type { CellColumn } from '../base/cells.ts'
import type { Descriptors } from '../base/descriptors.ts'
import type { ExtentSource } from '../base/extent-chain.ts'
import type { SpoolConfig } from '../config/model.ts'
import { SPOOL_BLOCK, SPOOL_OUTCOMES, SPOOLED, type Spooled, type SpoolOutcome } from './spool-measures.ts'
import { SpoolPressure } from './spool-pressure.ts'

const AT = SPOOL_BLOCK.at
const MIB = 1024 * 1024
/**
 * A slab is about this part of all memory, within bounds: small enough to come back, large enough to be few.
 */
const SLABS = 64
const MIN_SLAB = MIB / 4
const MAX_SLAB = 16 * MIB
/** The last of all memory: clients that do not take their answers get none of it. */
const RESERVE_SHARE = 1 / 16
/** What is read in the moment in which memory becomes short: a few dozen reads. */
const OVERDRAFT = 8 * MIB

/** The process's account of descriptors, as far as files of bodies use it. */
export type BodyDescriptors = Pick<Descriptors, 'takeForBody' | 'give'>

const PLENTY: BodyDescriptors = { takeForBody: () => true, give: () => {} }

/**
 * What a data thread's waiting bodies may take, and take. The bounds hold for the process: each thread adds
 * up the columns of all before it takes more, so at worst every thread oversteps by one slab, when all of
 * them take one in the same moment.
 */
export class Spool implements ArenaBudget, ExtentSource {
  readonly pressure = new SpoolPressure(this)
  readonly #arena = new Arena(this)
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

  /** To be called at every tick of the thread. */
  ticked(nowMs: number): void {
    this.#arena.trim(nowMs)
    this.pressure.ticked(nowMs)
  }

  get folder(): string {
    return this.#config.folder
  }

  /** Bytes of all bodies together, in memory and in files. */
  get memoryTotalBytes(): number {
    return this.#config.memoryTotalBytes
  }

  get diskBytes(): number {
    return this.#config.diskBytes
  }

  /**
   * Bytes that a body may leave in memory now; with all memory in use none, so that each byte goes to a file.
   */
  get memoryBytes(): number {
    return this.freeBytes > 0 ? this.#config.memoryBytes : 0
  }

  /** Memory that this thread's bodies can still have. */
  get freeBytes(): number {
    const unused = this.#arena.heldBytes - this.#arena.usedBytes
    return this.#config.memoryTotalBytes - this.#cells.total(this.#row + AT.arena) + unused
  }

  /** What is left is for bodies that are of no use in part. */
  get isNearlyOut(): boolean {
    return this.freeBytes < this.#config.memoryTotalBytes * RESERVE_SHARE
  }

  // ArenaBudget.

  get slabBytes(): number {
    const share = this.#config.memoryTotalBytes / SLABS
    return 2 ** Math.floor(Math.log2(Math.min(MAX_SLAB, Math.max(MIN_SLAB, share))))
  }

  takeSlab(bytes: number): boolean {
    if (this.#cells.total(this.#row + AT.arena) + bytes > this.#config.memoryTotalBytes) return false
    this.#cells.add(this.#row + AT.arena, bytes)
    return true
  }

  giveSlab(bytes: number): void {
    this.#cells.add(this.#row + AT.arena, -bytes)
  }

  // ExtentSource.

  takeExtent(size: number): Extent | undefined {
    const extent = this.#arena.take(size)
    if (extent !== undefined) this.#cells.add(this.#row + AT.memory, extent.bytes.length)
    return extent
  }

  giveExtent(extent: Extent): void {
    this.#cells.add(this.#row + AT.memory, -extent.bytes.length)
    this.#arena.give(extent)
  }

  /** Memory outside of the arena. It counts like a slab. */
  takeMemory(bytes: number): void {
    if (bytes === 0) return
    this.#cells.add(this.#row + AT.memory, bytes)
    this.#cells.add(this.#row + AT.arena, bytes)
  }

  giveMemory(bytes: number): void {
    this.takeMemory(-bytes)
  }

  /** May so much be had beyond all memory? What has been read of a socket is here, and cannot be put back. */
  mayOverdraw(bytes: number): boolean {
    return this.freeBytes + OVERDRAFT >= bytes
  }

  /** Room in files that nobody was promised. */
  get freeDiskBytes(): number {
    const { disk, promised } = AT
    return (
      this.#config.diskBytes - this.#cells.total(this.#row + disk) - this.#cells.total(this.#row + promised)
    )
  }

  /** Reserves room in files. False: the files have, or were promised, all the bytes that they may have. */
  takeDisk(bytes: number): boolean {
    if (bytes > this.freeDiskBytes) return false
    this.#cells.add(this.#row + AT.promised, bytes)
    return true
  }

  /** So many of the reserved bytes have been written. */
  wroteDisk(bytes: number): void {
    this.#cells.add(this.#row + AT.promised, -bytes)
    this.#cells.add(this.#row + AT.disk, bytes)
  }

  /** Gives back room: `written` of it was used, `promised` was not. */
  giveDisk(written: number, promised: number): void {
    if (written + promised === 0) return
    this.#cells.add(this.#row + AT.disk, -written)
    this.#cells.add(this.#row + AT.promised, -promised)
    this.pressure.diskCameFree()
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
