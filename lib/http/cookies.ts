import { FIELD } from './field-ids.ts'
import type { FieldList } from './field-list.ts'

/** Value of the first cookie of this name in all Cookie lines (RFC 6265 5.4); '' without one. */
export function cookieNamed(fields: FieldList, name: string): string {
  for (const pair of (fields.joined(FIELD.cookie) ?? '').split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return ''
}
