import { hashStep } from '../http/field-ids.ts'
import {
  BACKSLASH,
  COLON,
  CR,
  DOUBLE_QUOTE,
  EQUALS,
  HEX,
  LF,
  LOWER_TOKEN,
  SEMICOLON,
  VALUE,
} from './characters.ts'

/**
 * Takes the data of chunks as ranges of the bytes that were given to `decode`, valid only during the call.
 */
export interface ChunkSink {
  chunkData(bytes: Uint8Array, start: number, end: number): void
}

/** Why a chunked body is refused. A closed list: log field and metric label. */
export type ChunkDetail =
  | 'chunk-size'
  | 'chunk-extension'
  | 'chunk-line-end'
  | 'chunk-data-end'
  | 'chunk-trailer'
  | 'chunk-overhead'

/** What the next byte belongs to. `…-lf`: the LF of a line whose CR was seen. */
type Step =
  | 'size-first'
  | 'size'
  | 'extension-name-first'
  | 'extension-name'
  | 'extension-value-first'
  | 'extension-value'
  | 'extension-quoted'
  | 'extension-escaped'
  | 'extension-quoted-end'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailer-first'
  | 'trailer-name'
  | 'trailer-value'
  | 'trailer-lf'
  | 'last-lf'

const MAX_SIZE_DIGITS = 15

/**
 * Bytes of extensions and trailers in one body. They are dropped, so each one is work for nothing
 * (CVE-2024-22019 was a server that read them for ever). The sizes themselves are not counted: a long stream
 * of small chunks is honest.
 */
const MAX_OVERHEAD_BYTES = 16 * 1024

// Trailers that would frame the message anew are no slip. A hash is enough: to hit one by chance or on
// purpose gets a name refused that nobody uses.
const FRAMING_NAMES: ReadonlySet<number> = new Set(['content-length', 'transfer-encoding'].map(hashOf))

/**
 * Takes a chunked body apart (RFC 9112 7.1) without copying it. Digits, CRLF and nothing else: no sign,
 * prefix or white space, no bare LF. Extensions are checked and dropped, trailers too unless they are wanted
 * (RFC 9110 6.5.1). One decoder serves one body.
 */
export class ChunkedDecoder {
  /** After `done` and `bad` no more bytes are taken. */
  state: 'reading' | 'done' | 'bad' = 'reading'
  /** Set when `state` is `bad`. */
  detail: ChunkDetail | undefined = undefined
  /** The trailer section as it came, with the empty line that ends it; '' where nobody wants it. */
  trailerText = ''
  readonly #sink: ChunkSink
  readonly #keepsTrailers: boolean
  #step: Step = 'size-first'
  /** Bytes of this chunk still to come. */
  #left = 0
  #digits = 0
  #overhead = 0
  #nameHash = 0

  constructor(sink: ChunkSink, keepsTrailers = false) {
    this.#sink = sink
    this.#keepsTrailers = keepsTrailers
  }

  /**
   * Reads bytes[start, end) and returns how far it came: short of `end` only when the body is over, well or
   * badly.
   */
  decode(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    while (at < end && this.state === 'reading') {
      if (this.#step === 'data') at = this.#takeData(bytes, at, end)
      else {
        this.#take(bytes[at] as number)
        at += 1
      }
    }
    return at
  }

  #takeData(bytes: Uint8Array, at: number, end: number): number {
    const stop = at + Math.min(this.#left, end - at)
    this.#left -= stop - at
    if (this.#left === 0) this.#step = 'data-cr'
    this.#sink.chunkData(bytes, at, stop)
    return stop
  }

  #take(code: number): void {
    switch (this.#step) {
      case 'size-first':
      case 'size':
        this.#takeSize(code)
        break
      case 'size-lf':
        if (code !== LF) this.#refuse('chunk-line-end')
        else this.#step = this.#left === 0 ? 'trailer-first' : 'data'
        break
      case 'data':
        break
      case 'data-cr':
        this.#moveTo(code === CR ? 'data-lf' : undefined, 'chunk-data-end')
        break
      case 'data-lf':
        this.#moveTo(code === LF ? 'size-first' : undefined, 'chunk-data-end')
        break
      case 'trailer-first':
      case 'trailer-name':
      case 'trailer-value':
      case 'trailer-lf':
      case 'last-lf':
        this.#takeTrailer(code)
        break
      default:
        this.#countOverhead()
        this.#moveTo(afterExtension(this.#step, code), code === LF ? 'chunk-line-end' : 'chunk-extension')
    }
  }

  #takeSize(code: number): void {
    const digit = HEX[code] as number
    if (digit > 0) this.#takeDigit(digit - 1)
    else if (this.#step === 'size-first') this.#refuse('chunk-size')
    else {
      this.#digits = 0
      const bad = code === LF ? 'chunk-line-end' : 'chunk-size'
      this.#moveTo(code === SEMICOLON ? 'extension-name-first' : sizeEnd(code), bad)
    }
  }

  #takeDigit(value: number): void {
    // #left is 0 at the first digit: the chunk before has been read out.
    this.#left = this.#left * 16 + value
    this.#digits += 1
    this.#step = 'size'
    if (this.#digits > MAX_SIZE_DIGITS || this.#left > Number.MAX_SAFE_INTEGER) this.#refuse('chunk-size')
  }

  #takeTrailer(code: number): void {
    this.#countOverhead()
    if (this.#keepsTrailers) this.trailerText += String.fromCharCode(code)
    const next = afterTrailer(this.#step, code)
    if (next === 'trailer-name') {
      const hash = this.#step === 'trailer-first' ? 0 : this.#nameHash
      this.#nameHash = hashStep(hash, LOWER_TOKEN[code] as number)
    }
    const isFraming = code === COLON && this.#step === 'trailer-name' && FRAMING_NAMES.has(this.#nameHash)
    this.#moveTo(isFraming ? undefined : next, 'chunk-trailer')
  }

  #countOverhead(): void {
    this.#overhead += 1
    if (this.#overhead > MAX_OVERHEAD_BYTES) this.#refuse('chunk-overhead')
  }

  #moveTo(step: Step | 'done' | undefined, otherwise: ChunkDetail): void {
    if (step === undefined) this.#refuse(otherwise)
    else if (step !== 'done') this.#step = step
    else if (this.state === 'reading') this.state = 'done'
  }

  #refuse(detail: ChunkDetail): void {
    this.state = 'bad'
    this.detail ??= detail
  }
}

/** `;name`, `;name=token` or `;name="quoted"`, without the white space that RFC 9112 7.1.1 calls bad. */
function afterExtension(step: Step, code: number): Step | undefined {
  switch (step) {
    case 'extension-name-first':
      return isTokenCode(code) ? 'extension-name' : undefined
    case 'extension-name':
      if (isTokenCode(code)) return step
      return code === EQUALS ? 'extension-value-first' : extensionEnd(code)
    case 'extension-value-first':
      if (isTokenCode(code)) return 'extension-value'
      return code === DOUBLE_QUOTE ? 'extension-quoted' : undefined
    case 'extension-value':
      return isTokenCode(code) ? step : extensionEnd(code)
    case 'extension-quoted':
      if (code === DOUBLE_QUOTE) return 'extension-quoted-end'
      if (code === BACKSLASH) return 'extension-escaped'
      return VALUE[code] === 1 ? step : undefined
    case 'extension-escaped':
      return VALUE[code] === 1 ? 'extension-quoted' : undefined
    default:
      return extensionEnd(code)
  }
}

function extensionEnd(code: number): Step | undefined {
  return code === SEMICOLON ? 'extension-name-first' : sizeEnd(code)
}

function sizeEnd(code: number): Step | undefined {
  return code === CR ? 'size-lf' : undefined
}

/** RFC 9112 7.1.2: field lines as in a head, then an empty line. */
function afterTrailer(step: Step, code: number): Step | 'done' | undefined {
  switch (step) {
    case 'trailer-first':
      if (code === CR) return 'last-lf'
      return isTokenCode(code) ? 'trailer-name' : undefined
    case 'trailer-name':
      if (isTokenCode(code)) return step
      return code === COLON ? 'trailer-value' : undefined
    case 'trailer-value':
      if (VALUE[code] === 1) return step
      return code === CR ? 'trailer-lf' : undefined
    case 'trailer-lf':
      return code === LF ? 'trailer-first' : undefined
    default:
      return code === LF ? 'done' : undefined
  }
}

function hashOf(name: string): number {
  let hash = 0
  for (let at = 0; at < name.length; at += 1) hash = hashStep(hash, name.charCodeAt(at))
  return hash
}

function isTokenCode(code: number): boolean {
  return (LOWER_TOKEN[code] as number) > 0
}

/** The line before a chunk of `length` bytes, which is more than 0. The chunk's data is followed by CRLF. */
export function chunkHead(length: number): string {
  return `${length.toString(16)}\r\n`
}

/** Ends a chunked body without trailers. */
export const LAST_CHUNK = '0\r\n\r\n'

/** Ends a chunked body with these trailers, whole lines (RFC 9112 7.1.2). */
export function lastChunkWith(lines: string): string {
  return `0\r\n${lines}\r\n`
}
