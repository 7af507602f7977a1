import { FIELD, fieldIdOf } from './field-ids.ts'

/** Five numbers a field: its mark, then where name and value start and end in the text. */
export const STRIDE = 5
/** The low byte of a mark is the field's number (field-ids.ts); above it stand these flags. */
export const ID_MASK = 0xff
/** The line is not exactly `name: value` CRLF and is written anew instead of copied. */
export const LOOSE = 0x100
/** The name has a `_`: dropped before any app, because WSGI cannot tell it from `-`. */
export const UNDERSCORE = 0x200
/** The name has a `.`, which some apps fold to `-` as well. */
export const DOT = 0x400
/** The field does not travel on. */
export const DROPPED = 0x800
/** No field's number. */
const NONE = -1

/**
 * The fields of one message: validated text (names are tokens, values have no control characters) and where
 * each field stands in it. The wire scanner and `FieldList.of` are the only makers, so whoever holds one may
 * write it out. Text is latin1: one character a byte.
 */
export class FieldList {
  readonly text: string
  /** STRIDE numbers a field. */
  readonly marks: number[]

  constructor(text: string, marks: number[]) {
    this.text = text
    this.marks = marks
  }

  /** From pairs that are known to be well-formed: fields that we make ourselves. */
  static of(pairs: readonly (readonly [name: string, value: string])[]): FieldList {
    let text = ''
    const marks: number[] = []
    for (const [name, value] of pairs) {
      const nameStart = text.length
      const valueStart = nameStart + name.length + 2
      marks.push(fieldIdOf(name), nameStart, nameStart + name.length, valueStart, valueStart + value.length)
      text += `${name}: ${value}\r\n`
    }
    return new FieldList(text, marks)
  }

  get count(): number {
    return this.marks.length / STRIDE
  }

  id(index: number): number {
    return (this.marks[index * STRIDE] as number) & ID_MASK
  }

  flags(index: number): number {
    return this.marks[index * STRIDE] as number
  }

  name(index: number): string {
    const at = index * STRIDE
    return this.text.slice(this.marks[at + 1], this.marks[at + 2])
  }

  value(index: number): string {
    const at = index * STRIDE
    return this.text.slice(this.marks[at + 3], this.marks[at + 4])
  }

  /** Index of the first field with this number that travels on, at or behind `from`; -1 if there is none. */
  indexOf(id: number, from = 0): number {
    for (let at = from * STRIDE; at < this.marks.length; at += STRIDE) {
      if (((this.marks[at] as number) & (ID_MASK | DROPPED)) === id) return at / STRIDE
    }
    return -1
  }

  /** Value of the first field with this number that travels on. */
  first(id: number): string | undefined {
    const index = this.indexOf(id)
    return index < 0 ? undefined : this.value(index)
  }

  /** Is there one that travels on? A field that was dropped keeps nothing of ours away. */
  has(id: number): boolean {
    return this.indexOf(id) >= 0
  }

  /**
   * All values of a list-valued field that travel on, joined as RFC 9110 5.3 allows (`; ` for Cookie);
   * undefined if there is none.
   */
  joined(id: number): string | undefined {
    let out: string | undefined
    for (let i = this.indexOf(id); i >= 0; i = this.indexOf(id, i + 1)) out = this.#withValue(id, out, i)
    return out
  }

  // As the sender gave them, whether they travel on or not: what was said to us.

  rawIndexOf(id: number, from = 0): number {
    for (let at = from * STRIDE; at < this.marks.length; at += STRIDE) {
      if (((this.marks[at] as number) & ID_MASK) === id) return at / STRIDE
    }
    return -1
  }

  rawFirst(id: number): string | undefined {
    const index = this.rawIndexOf(id)
    return index < 0 ? undefined : this.value(index)
  }

  rawJoined(id: number): string | undefined {
    let out: string | undefined
    for (let i = this.rawIndexOf(id); i >= 0; i = this.rawIndexOf(id, i + 1))
      out = this.#withValue(id, out, i)
    return out
  }

  /** Keeps the field from travelling on. */
  drop(index: number): void {
    const at = index * STRIDE
    this.marks[at] = (this.marks[at] as number) | DROPPED
  }

  /** Takes `drop` back. */
  keep(index: number): void {
    const at = index * STRIDE
    this.marks[at] = (this.marks[at] as number) & ~DROPPED
  }

  dropAll(id: number): void {
    for (let i = this.indexOf(id); i >= 0; i = this.indexOf(id, i + 1)) this.drop(i)
  }

  /**
   * The lines that travel on, ready to be written, but for those with the number `without`. Neighbouring
   * lines that are already in the one form that we write are taken as one slice: every character in it was
   * checked by the scanner, so this is a re-serialisation, only faster.
   */
  toText(without = NONE): string {
    const { marks, text } = this
    let out = ''
    let runStart = -1
    let runEnd = -1
    for (let at = 0; at < marks.length; at += STRIDE) {
      const mark = marks[at] as number
      const leaves = (mark & DROPPED) === 0 && (mark & ID_MASK) !== without
      if (leaves && (mark & LOOSE) === 0) {
        if (runStart < 0) runStart = marks[at + 1] as number
        runEnd = (marks[at + 4] as number) + 2
        continue
      }
      if (runStart >= 0) out += text.slice(runStart, runEnd)
      runStart = -1
      if (leaves) {
        out += `${text.slice(marks[at + 1], marks[at + 2])}: ${text.slice(marks[at + 3], marks[at + 4])}\r\n`
      }
    }
    return runStart < 0 ? out : out + text.slice(runStart, runEnd)
  }

  #withValue(id: number, before: string | undefined, index: number): string {
    const value = this.value(index)
    return before === undefined ? value : before + (id === FIELD.cookie ? '; ' : ', ') + value
  }
}
