const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)'
const FORMS = [
  new RegExp(`^${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`),
  new RegExp(`^${DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
]

type DateParts = Readonly<Record<'day' | 'month' | 'year' | 'hour' | 'minute' | 'second', string>>

/**
 * Milliseconds since the epoch of an HTTP-date in any of its three forms (RFC 9110 5.6.7); undefined for
 * anything else, so that the field counts as absent. `Date.parse` would take far more. `wallMs` is now: it
 * settles the century of a two-digit year.
 */
export function parseHttpDate(text: string, wallMs: number): number | undefined {
  for (const form of FORMS) {
    // Every form names all parts.
    const parts = form.exec(text)?.groups as DateParts | undefined
    if (parts !== undefined) return toMs(parts, wallMs)
  }
  return undefined
}

function toMs(parts: DateParts, wallMs: number): number | undefined {
  const month = MONTHS.indexOf(parts.month)
  const hour = Number(parts.hour)
  const minute = Number(parts.minute)
  const second = Number(parts.second)
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const date = new Date(0)
  date.setUTCFullYear(fullYear(parts.year, wallMs), month, Number(parts.day))
  // The 31st of a shorter month has moved to the next.
  if (date.getUTCMonth() !== month) return undefined
  date.setUTCHours(hour, minute, second)
  return date.getTime()
}

/** RFC 9110 5.6.7: a two-digit year that seems more than 50 years ahead is in the past. */
function fullYear(text: string, wallMs: number): number {
  const year = Number(text)
  if (text.length === 4) return year
  const thisYear = new Date(wallMs).getUTCFullYear()
  const guess = thisYear - (thisYear % 100) + year
  return guess > thisYear + 50 ? guess - 100 : guess
}
