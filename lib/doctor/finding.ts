/**
 * What one check found. `problem`: the site is broken or open to others. `hint`: it works, and would be
 * better so. `ok`: looked at, and nothing is to be done.
 */
export interface Finding {
  readonly level: 'ok' | 'hint' | 'problem'
  /** Which check speaks: `redirects`, `csrf`. */
  readonly check: string
  /** A URL, a cookie, a field, or a key of the configuration. */
  readonly where: string
  readonly what: string
  /** The setting to change, with its value; undefined where nothing is to be done. */
  readonly fix: string | undefined
}

/** Looked at, and right. */
export function ok(check: string, where: string, what: string): Finding {
  return { level: 'ok', check, where, what, fix: undefined }
}

/** Works, and would be better so. */
export function hint(check: string, where: string, what: string, fix: string): Finding {
  return { level: 'hint', check, where, what, fix }
}

/** Broken, or open to others. */
export function problem(check: string, where: string, what: string, fix: string): Finding {
  return { level: 'problem', check, where, what, fix }
}
