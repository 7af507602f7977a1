/** What is said of a regular expression where a host or a path stands. */
export const NO_PATTERNS = 'regular expressions are not supported'

/**
 * Characters that no host has, and no path as it is written here. `$` has a meaning at the end only:
 * `/$metadata` is a path.
 */
const PATTERN = /^\^|\.[*+]|[\\|^]|\$$|\(\?|\[[^\]]*-/

/** Does a host look like a regular expression, as nginx and others have them? */
export function isHostPattern(host: string): boolean {
  return host.startsWith('~') || (PATTERN.test(host) && !host.startsWith('['))
}

interface Fault {
  readonly fault: string
  readonly hint: string
}

/**
 * What is wrong with a path that is written as nginx's `location` has it (`= /x`, `^~ /x/`, `~ ^/x/`), or as
 * a regular expression.
 */
export function pathPatternFault(value: string): Fault | undefined {
  const [, sign, rest = value] = /^(=|\^~|~\*?)\s*(.*)$/s.exec(value) ?? []
  if (sign === '=' || sign === '^~')
    return {
      fault: `a path cannot start with "${sign}"`,
      hint: `write path = ${JSON.stringify(rest)}: it and all paths below it`,
    }
  if (sign === undefined && !PATTERN.test(value)) return undefined
  const write = `path = ${JSON.stringify(plainStart(rest))}`
  return {
    fault: NO_PATTERNS,
    hint: `paths are prefixes, and the longest match wins: write ${write}, or a route for each`,
  }
}

/** The whole segments that a pattern begins with. */
function plainStart(pattern: string): string {
  const [, start = '/'] = /^\^?(\/(?:[A-Za-z0-9_~-]+\/)*)/.exec(pattern) ?? []
  return start
}
