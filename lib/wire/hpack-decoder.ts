import { latin1Slice } from '../base/latin1.ts'
import { DynamicTable } from './hpack-dynamic-table.ts'
import { unpackedBound, unpackHuffman } from './hpack-huffman.ts'
import { DEFAULT_TABLE_BYTES, FIELD_OVERHEAD_BYTES, STATIC_COUNT, STATIC_FIELDS } from './hpack-tables.ts'

/**
 * `compression` ends the connection (RFC 9113 4.3); after `too-large` the table is right and the connection
 * goes on.
 */
export interface HpackFault {
  readonly fault: 'compression' | 'too-large'
}

/** What is kept of one list; bytes are counted as in RFC 9113 6.5.2: name, value and 32 for each field. */
export interface HpackLimits {
  readonly maxBytes: number
  readonly maxPairs: number
}

const COMPRESSION: HpackFault = { fault: 'compression' }
const TOO_LARGE: HpackFault = { fault: 'too-large' }

// The first byte of a representation (RFC 7541 6): its highest bits say which, the others begin an integer.
const INDEXED = 0x80
const INDEXED_BITS = 0x7f
const ADDED = 0x40
const ADDED_BITS = 0x3f
const RESIZE = 0x20
const RESIZE_BITS = 0x1f
/**
 * Of literals that are not added, never-indexed ones too: the difference is for who would encode them again.
 */
const LITERAL_BITS = 0x0f
const HUFFMAN = 0x80
const LENGTH_BITS = 0x7f

/**
 * 28 bits behind the prefix: far beyond any block, and nothing can overflow. More is refused, zeros too (RFC
 * 7541 5.1).
 */
const MAX_INTEGER_SHIFT = 21

const MAX_SCRATCH_BYTES = 64 * 1024

/** Where Huffman code is undone; the text is taken out at once, so all decoders share it. */
let scratch = Buffer.allocUnsafeSlow(4096)

/**
 * Header blocks of one connection to lists of fields (RFC 7541). Each block must be given, in order and
 * whole, as the table lives from all of them. What a block costs is bounded by its own bytes: a field of the
 * table is a reference, never a copy.
 */
export class HpackDecoder {
  readonly #announcedBytes: number
  readonly #table: DynamicTable
  #bytes: Uint8Array = scratch
  #at = 0
  #end = 0
  #broken = false
  #list: string[] = []
  #listBytes = 0
  #maxBytes = 0
  #maxTexts = 0
  #tooLarge = false

  /**
   * @param tableBytes SETTINGS_HEADER_TABLE_SIZE that we have announced; a larger table than the default
   * begins once the peer says so.
   */
  constructor(tableBytes: number = DEFAULT_TABLE_BYTES) {
    this.#announcedBytes = tableBytes
    this.#table = new DynamicTable(Math.min(tableBytes, DEFAULT_TABLE_BYTES))
  }

  /**
   * The fields of bytes[start, end), a whole block, as a flat list [name, value, ...] of latin1 text. `bytes`
   * is a Buffer. A list beyond the limits is decoded to its end for the sake of the table, but not kept.
   * Nothing is judged but the encoding. Hot.
   */
  decode(bytes: Uint8Array, start: number, end: number, limits: HpackLimits): string[] | HpackFault {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#broken = false
    this.#list = []
    this.#listBytes = 0
    this.#maxBytes = limits.maxBytes
    this.#maxTexts = limits.maxPairs * 2
    this.#tooLarge = false
    this.#takeResizes()
    while (this.#at < this.#end && !this.#broken) this.#takeField(bytes[this.#at] as number)
    const list = this.#list
    this.#list = []
    this.#bytes = scratch
    if (this.#broken) return COMPRESSION
    return this.#tooLarge ? TOO_LARGE : list
  }

  /** Changes of the table's size stand before the first field and nowhere else (RFC 7541 4.2). */
  #takeResizes(): void {
    while (this.#at < this.#end && ((this.#bytes[this.#at] as number) & 0xe0) === RESIZE) {
      const bytes = this.#takeInteger(RESIZE_BITS)
      if (this.#broken) return
      if (bytes > this.#announcedBytes) this.#broken = true
      else this.#table.resize(bytes)
    }
  }

  #takeField(first: number): void {
    if (first >= INDEXED) this.#takeIndexed()
    else if (first >= ADDED) this.#takeLiteral(this.#takeInteger(ADDED_BITS), true)
    else if (first >= RESIZE) this.#broken = true
    else this.#takeLiteral(this.#takeInteger(LITERAL_BITS), false)
  }

  #takeIndexed(): void {
    const index = this.#takeInteger(INDEXED_BITS)
    if (index === 0 || index > STATIC_COUNT + this.#table.count) this.#broken = true
    else if (index <= STATIC_COUNT) {
      this.#keep(STATIC_FIELDS[index * 2 - 2] as string, STATIC_FIELDS[index * 2 - 1] as string)
    } else {
      const age = index - STATIC_COUNT - 1
      this.#keep(this.#table.name(age), this.#table.value(age))
    }
  }

  #takeLiteral(nameIndex: number, added: boolean): void {
    if (this.#broken) return
    const made = added || !this.#tooLarge
    const name = nameIndex === 0 ? this.#takeText(made) : this.#nameAt(nameIndex)
    if (this.#broken) return
    const value = this.#takeText(made)
    if (this.#broken) return
    if (added) this.#table.add(name, value)
    this.#keep(name, value)
  }

  #nameAt(index: number): string {
    if (index <= STATIC_COUNT) return STATIC_FIELDS[index * 2 - 2] as string
    if (index <= STATIC_COUNT + this.#table.count) return this.#table.name(index - STATIC_COUNT - 1)
    this.#broken = true
    return ''
  }

  #keep(name: string, value: string): void {
    if (this.#tooLarge) return
    this.#listBytes += name.length + value.length + FIELD_OVERHEAD_BYTES
    if (this.#listBytes <= this.#maxBytes && this.#list.length < this.#maxTexts) this.#list.push(name, value)
    else {
      this.#tooLarge = true
      this.#list = []
    }
  }

  /** RFC 7541 5.2. @param made false: it is checked and passed over. */
  #takeText(made: boolean): string {
    if (this.#at >= this.#end) this.#broken = true
    if (this.#broken) return ''
    const huffman = (this.#bytes[this.#at] as number) >= HUFFMAN
    const length = this.#takeInteger(LENGTH_BITS)
    if (length > this.#end - this.#at) this.#broken = true
    if (this.#broken || length === 0) return ''
    const start = this.#at
    this.#at += length
    if (huffman) return this.#unpacked(start, this.#at, made)
    return made ? latin1Slice(this.#bytes, start, this.#at) : ''
  }

  #unpacked(start: number, end: number, made: boolean): string {
    const bound = unpackedBound(end - start)
    const out = bound <= scratch.length ? scratch : grownScratch(bound)
    const length = unpackHuffman(this.#bytes, start, end, out)
    if (length === undefined) this.#broken = true
    return length === undefined || !made ? '' : latin1Slice(out, 0, length)
  }

  /** RFC 7541 5.1. @param bits those of the first byte that belong to the integer. */
  #takeInteger(bits: number): number {
    const prefix = (this.#bytes[this.#at] as number) & bits
    this.#at += 1
    return prefix < bits ? prefix : this.#takeLongInteger(bits)
  }

  #takeLongInteger(prefix: number): number {
    let value = prefix
    for (let shift = 0; shift <= MAX_INTEGER_SHIFT && this.#at < this.#end; shift += 7) {
      const byte = this.#bytes[this.#at] as number
      this.#at += 1
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    this.#broken = true
    return 0
  }
}

/** Blocks are bounded by who reads frames, so this is too; large ones are rare and their room is not kept. */
function grownScratch(bytes: number): Buffer {
  const grown = Buffer.allocUnsafeSlow(Math.ceil(bytes))
  if (bytes <= MAX_SCRATCH_BYTES) scratch = grown
  return grown
}
