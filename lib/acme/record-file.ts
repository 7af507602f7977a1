import { type NameRecord, NEW_RECORD } from './plan.ts'

type Json = Readonly<Record<string, unknown>>

/** The text of NAME/state.json, for people too: times as dates. */
export function recordText(record: NameRecord): string {
  const { window } = record
  const json = {
    directory: record.directory,
    not_after: dateOf(record.notAfterMs),
    renew_at: dateOf(record.renewAtMs),
    window: window === undefined ? undefined : { start: dateOf(window.startMs), end: dateOf(window.endMs) },
    ask_at: dateOf(record.askAtMs),
    challenge: record.challenge,
    failures: record.failures,
    next_try: dateOf(record.nextTryMs),
    last_error: record.lastError,
  }
  return `${JSON.stringify(json, undefined, 2)}\n`
}

/** What cannot be read counts as not there: a certificate must not depend on it. */
export function readRecord(text: string | undefined): NameRecord {
  const json = parse(text ?? '')
  if (json === undefined) return NEW_RECORD
  const { window, challenge, failures } = json
  const ends = typeof window === 'object' && window !== null ? (window as Json) : {}
  const [startMs, endMs] = [timeOf(ends['start']), timeOf(ends['end'])]
  return {
    directory: wordOf(json['directory']),
    notAfterMs: timeOf(json['not_after']),
    renewAtMs: timeOf(json['renew_at']),
    window: startMs === undefined || endMs === undefined ? undefined : { startMs, endMs },
    askAtMs: timeOf(json['ask_at']),
    challenge: challenge === 'http-01' || challenge === 'tls-alpn-01' ? challenge : undefined,
    failures: typeof failures === 'number' && Number.isSafeInteger(failures) && failures > 0 ? failures : 0,
    nextTryMs: timeOf(json['next_try']),
    lastError: wordOf(json['last_error']),
  }
}

function parse(text: string): (Record<'window' | 'challenge' | 'failures', unknown> & Json) | undefined {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json !== 'object' || json === null) return undefined
    return { window: undefined, challenge: undefined, failures: undefined, ...json }
  } catch {
    return undefined
  }
}

function dateOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}

function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

function wordOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
