import { parseDuration, parseRate, parseSize } from '../base/units.ts'

/** Units as people write them, and ours. */
const TIMES: readonly (readonly [RegExp, string])[] = [
  [/^(?:ms|msecs?|millis|milliseconds?)$/, 'ms'],
  [/^(?:s|secs?|seconds?)$/, 's'],
  [/^(?:m|mins?|minutes?)$/, 'm'],
  [/^(?:h|hrs?|hours?)$/, 'h'],
  [/^(?:d|days?)$/, 'd'],
]
const WEEK_DAYS = 7
/** Behind the letter of the multiple: bytes, however they are written. */
const SIZE = /^([kmg]?)(i?)(?:b|bs|bytes?)?$/

/** `"30s"` for `"30sec"`, `"1m"` for `"1 minute"`; undefined if nothing can be made of it. */
export function nearDuration(text: string): string | undefined {
  const [, number = '', word = ''] = split(text)
  const unit = TIMES.find(([pattern]) => pattern.test(word.toLowerCase()))?.[1]
  const weeks = /^(?:w|weeks?)$/i.test(word) ? `${Number(number) * WEEK_DAYS}d` : undefined
  return checked(weeks ?? `${number}${unit ?? ''}`, parseDuration)
}

/** `"10MB"` for `"10MBs"` and `"10 mb"`; undefined if nothing can be made of it. */
export function nearSize(text: string): string | undefined {
  const [, number = '', word = ''] = split(text)
  const [, multiple, binary = ''] = SIZE.exec(word.toLowerCase()) ?? []
  if (multiple === undefined) return undefined
  const letter = multiple === 'k' && binary === '' ? 'k' : multiple.toUpperCase()
  return checked(`${number}${letter}${binary}B`, parseSize)
}

/** `"10MB/s"` for `"10MB"`, `"10MBps"` and `"10 MB/sec"`; undefined if nothing can be made of it. */
export function nearRate(text: string): string | undefined {
  const size = nearSize(text.replace(/\s*(?:\/\s*s(?:ec(?:ond)?)?|ps)$/i, ''))
  return size === undefined ? undefined : checked(`${size}/s`, parseRate)
}

function split(text: string): readonly string[] {
  return /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(text) ?? []
}

function checked(text: string, parse: (text: string) => number | undefined): string | undefined {
  return parse(text) === undefined ? undefined : text
}
