import { latin1Write } from '../base/latin1.ts'
import { DynamicTable } from './hpack-dynamic-table.ts'
import { DEFAULT_TABLE_BYTES, FIELD_OVERHEAD_BYTES, STATIC_COUNT, STATIC_FIELDS } from './hpack-tables.ts'

/**
 * Names whose values come again on the next answers, so that they are worth a place in the table. All others
 * stay out: an id or a tag that never comes again would push out what does, and what is in no table cannot be
 * guessed at through sizes (RFC 7541 7.1).
 */
const REPEATED: readonly string[] = [
  ...[':status', 'accept-ranges', 'access-control-allow-credentials', 'access-control-allow-headers'],
  ...[
    'access-control-allow-methods',
    'access-control-allow-origin',
    'access-control-expose-headers',
    'alt-svc',
  ],
  ...['cache-control', 'content-encoding', 'content-language', 'content-security-policy', 'content-type'],
  ...['cross-origin-embedder-policy', 'cross-origin-opener-policy', 'cross-origin-resource-policy', 'date'],
  ...['permissions-policy', 'referrer-policy', 'server', 'strict-transport-security', 'vary', 'via'],
  ...['x-content-type-options', 'x-frame-options', 'x-powered-by', 'x-xss-protection'],
]

/** Secrets, which nobody on the way may put into a table either (RFC 7541 6.2.3, 7.1.3). */
const NEVER: ReadonlySet<string> = new Set([
  ...['authorization', 'cookie', 'proxy-authorization', 'set-cookie'],
])

/** What is known of a name. */
interface NameTraits {
  /** Index in the static table; undefined when it is not there. */
  readonly index: number | undefined
  /** Values that stand with it in the static table. */
  readonly values: ReadonlyMap<string, number> | undefined
  /** Its place among `REPEATED`. */
  readonly repeated: number | undefined
  readonly never: boolean
}

const TRAITS = traitsOfNames()
const UNKNOWN: NameTraits = { index: undefined, values: undefined, repeated: undefined, never: false }

// First bytes of the representations (RFC 7541 6) and the bits that are left for an integer.
const INDEXED = 0x80
const INDEXED_BITS = 0x7f
const ADDED = 0x40
const ADDED_BITS = 0x3f
const RESIZE = 0x20
const RESIZE_BITS = 0x1f
const LITERAL = 0x00
const NEVER_INDEXED = 0x10
const LITERAL_BITS = 0x0f
/**
 * Texts go without Huffman code: it saves a third of what is not in a table, but takes longer than all the
 * rest of a block.
 */
const PLAIN = 0x00
const LENGTH_BITS = 0x7f

/** Of one field beyond its text: the first byte and two integers of five bytes each. */
const MAX_FIELD_OVERHEAD = 11
const MAX_RESIZES_BYTES = 12
/** Shorter texts are written here byte by byte, which is cheaper than a call out of JavaScript. */
const SHORT_TEXT = 24

/** Blocks are made here and then copied out in their size. */
const scratch = Buffer.allocUnsafeSlow(16 * 1024)

/**
 * Lists of fields to the header blocks of one connection (RFC 7541), which must be sent in the order they
 * were made.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable(DEFAULT_TABLE_BYTES, (name, value) => this.#forget(name, value))
  /** For each repeated name its values that are in the table, with the number of fields added before them. */
  readonly #places: (Map<string, number> | undefined)[] = []
  #added = 0
  /**
   * Sizes that the peer has not been told of: the smallest since the last block, and what it is now (RFC 7541
   * 4.2).
   */
  #resize: { readonly smallest: number; readonly last: number } | undefined = undefined
  #out: Buffer = Buffer.alloc(0)
  #at = 0

  /**
   * The peer's SETTINGS_HEADER_TABLE_SIZE; the table stays at or below the default. The next block says so.
   */
  setTableBytes(size: number): void {
    const last = Math.min(size, DEFAULT_TABLE_BYTES)
    if (this.#resize === undefined && last === this.#table.maxBytes) return
    this.#resize = { smallest: Math.min(last, this.#resize?.smallest ?? last), last }
  }

  /**
   * The block for these fields, a flat list [name, value, ...] of latin1 text; names are lower-cased here.
   * Hot.
   * @param headroom bytes that are left free before the block, for the head of its frame.
   */
  encode(pairs: readonly string[], headroom = 0): Buffer {
    let bound = headroom + MAX_RESIZES_BYTES
    for (const text of pairs) bound += text.length + MAX_FIELD_OVERHEAD
    const out = bound <= scratch.length ? scratch : Buffer.allocUnsafeSlow(bound)
    this.#out = out
    this.#at = headroom
    if (this.#resize !== undefined) this.#writeResizes(this.#resize)
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      this.#writeField((pairs[at] as string).toLowerCase(), pairs[at + 1] as string)
    }
    this.#out = scratch
    if (out !== scratch) return out.subarray(0, this.#at)
    const block = Buffer.allocUnsafe(this.#at)
    out.copy(block, headroom, headroom, this.#at)
    return block
  }

  #writeResizes({ smallest, last }: { smallest: number; last: number }): void {
    this.#resize = undefined
    if (smallest < last) this.#writeResize(smallest)
    this.#writeResize(last)
  }

  #writeResize(bytes: number): void {
    this.#table.resize(bytes)
    this.#writeInteger(RESIZE, RESIZE_BITS, bytes)
  }

  #writeField(name: string, value: string): void {
    const traits = TRAITS.get(name) ?? UNKNOWN
    const known = traits.values?.get(value) ?? this.#placeOf(traits, value)
    if (known !== undefined) this.#writeInteger(INDEXED, INDEXED_BITS, known)
    else if (traits.repeated !== undefined && this.#fits(name, value)) {
      this.#writeName(ADDED, ADDED_BITS, traits, name)
      this.#writeText(value)
      this.#remember(traits.repeated, name, value)
    } else {
      this.#writeName(traits.never ? NEVER_INDEXED : LITERAL, LITERAL_BITS, traits, name)
      this.#writeText(value)
    }
  }

  #placeOf(traits: NameTraits, value: string): number | undefined {
    if (traits.repeated === undefined) return undefined
    const before = this.#places[traits.repeated]?.get(value)
    return before === undefined ? undefined : STATIC_COUNT + this.#added - before
  }

  /** One field must not push out all others. */
  #fits(name: string, value: string): boolean {
    return (name.length + value.length + FIELD_OVERHEAD_BYTES) * 2 <= this.#table.maxBytes
  }

  #remember(repeated: number, name: string, value: string): void {
    this.#table.add(name, value)
    const places = this.#places[repeated]
    if (places === undefined) this.#places[repeated] = new Map([[value, this.#added]])
    else places.set(value, this.#added)
    this.#added += 1
  }

  #forget(name: string, value: string): void {
    const repeated = TRAITS.get(name)?.repeated
    if (repeated !== undefined) this.#places[repeated]?.delete(value)
  }

  #writeName(pattern: number, bits: number, traits: NameTraits, name: string): void {
    if (traits.index !== undefined) this.#writeInteger(pattern, bits, traits.index)
    else {
      this.#out[this.#at++] = pattern
      this.#writeText(name)
    }
  }

  #writeText(text: string): void {
    this.#writeInteger(PLAIN, LENGTH_BITS, text.length)
    const at = this.#at
    this.#at += text.length
    if (text.length >= SHORT_TEXT) latin1Write(this.#out, text, at)
    else for (let i = 0; i < text.length; i += 1) this.#out[at + i] = text.charCodeAt(i)
  }

  /** RFC 7541 5.1. */
  #writeInteger(pattern: number, bits: number, value: number): void {
    if (value < bits) {
      this.#out[this.#at++] = pattern | value
      return
    }
    this.#out[this.#at++] = pattern | bits
    let left = value - bits
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.#out[this.#at++] = (left % 0x80) | 0x80
    this.#out[this.#at++] = left
  }
}

function traitsOfNames(): ReadonlyMap<string, NameTraits> {
  const names = new Set([...STATIC_FIELDS.filter((_, at) => at % 2 === 0), ...REPEATED, ...NEVER])
  return new Map([...names].map(name => [name, traitsOf(name)]))
}

function traitsOf(name: string): NameTraits {
  const places: number[] = []
  for (let at = 0; at < STATIC_FIELDS.length; at += 2) if (STATIC_FIELDS[at] === name) places.push(at)
  const valued = places.filter(at => STATIC_FIELDS[at + 1] !== '')
  const repeated = REPEATED.indexOf(name)
  return {
    index: places[0] === undefined ? undefined : places[0] / 2 + 1,
    values:
      valued.length === 0
        ? undefined
        : new Map(valued.map(at => [STATIC_FIELDS[at + 1] as string, at / 2 + 1])),
    repeated: repeated < 0 ? undefined : repeated,
    never: NEVER.has(name),
  }
}
