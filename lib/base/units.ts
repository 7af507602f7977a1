/** Numbers with units as people write them in configuration, and back again for messages. */

const DURATION =
  /^(?=\d)(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/
const DURATION_MS = [86_400_000, 3_600_000, 60_000, 1000, 1] as const
const DURATION_UNITS = ['d', 'h', 'm', 's', 'ms'] as const

const SIZE = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/
// A bare letter is binary, as nginx has it; `kB` is the SI unit and `KiB` the IEC one (IEC 80000-13).
const SIZE_BYTES: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['k', 1024],
  ['K', 1024],
  ['KiB', 1024],
  ['kB', 1000],
  ['KB', 1000],
  ['m', 1024 ** 2],
  ['M', 1024 ** 2],
  ['MiB', 1024 ** 2],
  ['MB', 1000 ** 2],
  ['g', 1024 ** 3],
  ['G', 1024 ** 3],
  ['GiB', 1024 ** 3],
  ['GB', 1000 ** 3],
])
const PRINTED_SIZES = ['GiB', 'GB', 'MiB', 'MB', 'KiB', 'kB'] as const

/**
 * Milliseconds of `"500ms"`, `"5s"`, `"1m30s"`, `"2h"`, `"1d"`; units fall from left to right. Undefined if
 * it is none.
 */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  if (match === null) return undefined
  let ms = 0
  for (const [i, unit] of DURATION_MS.entries()) ms += Number(match[i + 1] ?? 0) * unit
  return Math.round(ms)
}

/** The shortest text that `parseDuration` reads as `ms` milliseconds. */
export function formatDuration(ms: number): string {
  let text = ''
  let rest = ms
  for (const [i, unit] of DURATION_MS.entries()) {
    const whole = Math.floor(rest / unit)
    if (whole > 0) text += `${whole}${DURATION_UNITS[i]}`
    rest -= whole * unit
  }
  return text === '' ? '0s' : text
}

/**
 * Bytes of `"10MiB"`, `"64KiB"`, `"1GB"`, `"64k"` (binary), `"1kB"` (1000), `"512B"`. Undefined if it is
 * none.
 */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text)
  const unit = SIZE_BYTES.get(match?.[2] ?? '')
  return unit === undefined ? undefined : Math.round(Number(match?.[1]) * unit)
}

/** Bytes in the largest unit that holds them without a fraction. */
export function formatSize(bytes: number): string {
  for (const unit of PRINTED_SIZES) {
    const count = bytes / (SIZE_BYTES.get(unit) as number)
    if (count >= 1 && Number.isInteger(count)) return `${count}${unit}`
  }
  return `${bytes}B`
}

/** Bytes a second of `"240B/s"`, `"1MiB/s"`. Undefined if it is none. */
export function parseRate(text: string): number | undefined {
  return text.endsWith('/s') ? parseSize(text.slice(0, -2)) : undefined
}

/** The share, 0 to 1 and beyond, of `"20%"`. Undefined if it is none. */
export function parsePercent(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(text)
  return match === null ? undefined : Number(match[1]) / 100
}
