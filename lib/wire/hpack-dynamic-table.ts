import { FIELD_OVERHEAD_BYTES } from './hpack-tables.ts'

/** Evicted places that are kept at the front of the list before it is moved up. */
const SLACK = 128

/**
 * The dynamic table of one direction (RFC 7541 2.3.2): first in, first out, bounded by the bytes of its
 * fields.
 */
export class DynamicTable {
  /**
   * Flat [name, value, ...], the newest last. What was evicted is an empty text until the list is moved up.
   */
  readonly #fields: string[] = []
  #first = 0
  #bytes = 0
  #maxBytes: number
  readonly #evicted: ((name: string, value: string) => void) | undefined

  /** @param evicted is told of each field that leaves. */
  constructor(maxBytes: number, evicted?: (name: string, value: string) => void) {
    this.#maxBytes = maxBytes
    this.#evicted = evicted
  }

  get maxBytes(): number {
    return this.#maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return (this.#fields.length - this.#first) / 2
  }

  /** Name of the field that came `age` fields before the newest; 0 <= age < count. */
  name(age: number): string {
    return this.#fields[this.#fields.length - 2 - 2 * age] as string
  }

  value(age: number): string {
    return this.#fields[this.#fields.length - 1 - 2 * age] as string
  }

  /** A field that is larger than the table empties it; that is no error (RFC 7541 4.4). */
  add(name: string, value: string): void {
    const bytes = name.length + value.length + FIELD_OVERHEAD_BYTES
    this.#evictTo(this.#maxBytes - bytes)
    if (bytes > this.#maxBytes) return
    this.#fields.push(name, value)
    this.#bytes += bytes
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.#evictTo(maxBytes)
  }

  #evictTo(bytes: number): void {
    const fields = this.#fields
    while (this.#bytes > bytes && this.#first < fields.length) {
      const at = this.#first
      const name = fields[at] as string
      const value = fields[at + 1] as string
      this.#bytes -= name.length + value.length + FIELD_OVERHEAD_BYTES
      fields[at] = ''
      fields[at + 1] = ''
      this.#first = at + 2
      this.#evicted?.(name, value)
    }
    if (this.#first < SLACK) return
    fields.splice(0, this.#first)
    this.#first = 0
  }
}
