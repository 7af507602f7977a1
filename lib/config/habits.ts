import { NEEDS_NO_WORD, NOT_SUPPORTED, WRITTEN_HERE } from './nginx-words.ts'

/** Words that stand for one of ours as a value. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['leastconn', 'least-inflight'],
  ['least_conn', 'least-inflight'],
  ['random', 'p2c'],
  ['ip_hash', 'hash'],
  ['source', 'hash'],
  ['warning', 'warn'],
  ['notice', 'info'],
  ['err', 'error'],
  ['crit', 'fatal'],
  ['critical', 'fatal'],
  ['alert', 'fatal'],
  ['emerg', 'fatal'],
  ['verbose', 'debug'],
])

/**
 * What another proxy's word for a key or section is here, ready to be a problem's hint; undefined if it is no
 * such word.
 */
export function keyHabit(key: string): string | undefined {
  const known = longestOf(key)
  if (known === undefined) return undefined
  const written = WRITTEN_HERE.get(known)
  if (written !== undefined) return `use ${written}`
  const instead = NOT_SUPPORTED.get(known)
  return instead === undefined
    ? `remove ${key}: no setting is needed here`
    : `${key} is not supported: ${instead}`
}

/** The key or section of ours that another proxy's word stands for, if it stands for one. */
export function meantByHabit(key: string): string | undefined {
  return /^\[?([a-z_]+)(?: = |\.NAME\])/.exec(WRITTEN_HERE.get(key) ?? '')?.[1]
}

/** Our word for a value of theirs, if it is one of `words`. */
export function valueHabit(value: string, words: readonly string[]): string | undefined {
  const ours = VALUES.get(value.toLowerCase())
  return ours !== undefined && words.includes(ours) ? `use ${JSON.stringify(ours)}` : undefined
}

/** The word itself, or the longest beginning of a family that it belongs to. */
function longestOf(key: string): string | undefined {
  let longest = ''
  for (const word of [...WRITTEN_HERE.keys(), ...NOT_SUPPORTED.keys(), ...NEEDS_NO_WORD]) {
    const fits = word === key || (word.endsWith('_') && key.startsWith(word))
    if (fits && word.length > longest.length) longest = word
  }
  return longest === '' ? undefined : longest
}
