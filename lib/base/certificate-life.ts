import type { KeyPair } from './key-pair.ts'

/** Whoever renews certificates by a timer has done it by then. */
export const EXPIRES_SOON_DAYS = 14
const DAY_MS = 86_400_000

/** Whole days until `notAfterMs`; negative once it is past. */
export function daysLeft(notAfterMs: number, nowWallMs: number): number {
  return Math.floor((notAfterMs - nowWallMs) / DAY_MS)
}

/**
 * Why clients refuse the certificate now, or will soon: `expired on 2026-11-02`. Undefined: there is nothing
 * to say.
 */
export function lifeTrouble(
  { notBeforeMs, notAfterMs }: Pick<KeyPair, 'notBeforeMs' | 'notAfterMs'>,
  nowWallMs: number,
): string | undefined {
  if (nowWallMs < notBeforeMs) return `is not valid before ${timeText(notBeforeMs)}`
  if (nowWallMs > notAfterMs) return `expired on ${timeText(notAfterMs)}`
  const left = daysLeft(notAfterMs, nowWallMs)
  if (left >= EXPIRES_SOON_DAYS) return undefined
  return left === 0 ? 'expires within a day' : `expires in ${left} day${left === 1 ? '' : 's'}`
}

function timeText(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC')
}
