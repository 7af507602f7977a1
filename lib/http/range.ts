/** Bytes `first` to `last`, both included, of a representation that has them. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

const UNIT = 'bytes='

/**
 * What a Range field asks of `length` bytes (RFC 9110 14.1.2 and 14.2). One range is honoured; several,
 * another unit or bad syntax give the full answer, which is always allowed and cannot be abused
 * (CVE-2011-3192).
 */
export function selectRange(value: string, length: number): ByteRange | 'full' | 'unsatisfiable' {
  if (value.slice(0, UNIT.length).toLowerCase() !== UNIT) return 'full'
  const dash = value.indexOf('-', UNIT.length)
  if (dash < 0) return 'full'
  const first = digits(value, UNIT.length, dash)
  const last = digits(value, dash + 1, value.length)
  if (first === undefined || last === undefined) return 'full'
  if (first === '') return last === '' ? 'full' : lastBytes(last, length)
  if (last !== '' && last < first) return 'full'
  if (first >= length) return 'unsatisfiable'
  return { first, last: last === '' ? length - 1 : Math.min(last, length - 1) }
}

function lastBytes(count: number, length: number): ByteRange | 'full' | 'unsatisfiable' {
  if (count === 0) return 'unsatisfiable'
  // No Content-Range can name a part of nothing.
  if (length === 0) return 'full'
  return { first: Math.max(0, length - count), last: length - 1 }
}

/** The number at text[start, end); '' if nothing stands there, undefined if something else does. */
function digits(text: string, start: number, end: number): number | '' | undefined {
  if (start === end) return ''
  let value = 0
  for (let i = start; i < end; i += 1) {
    const digit = text.charCodeAt(i) - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    // Beyond 2^53 digits are lost and in the end it is Infinity: still more than any file has.
    value = value * 10 + digit
  }
  return value
}
