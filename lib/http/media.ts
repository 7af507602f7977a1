import { mimes } from 'mrmime'

const UNKNOWN = 'application/octet-stream'

/** What browsers ask every site for and the package leaves out. */
const ADDED = [['ico', 'image/x-icon']] as const

/** A map, because a plain object would take the ending `constructor` for a known one. */
const BY_ENDING = new Map<string, string>([...Object.entries(mimes), ...ADDED])

/**
 * Value of Content-Type for a file of this name. Text is taken to be UTF-8: what Django and every bundler
 * write, and without the word a browser guesses.
 */
export function mediaTypeOf(fileName: string): string {
  const dot = fileName.lastIndexOf('.')
  const type = dot < 0 ? undefined : BY_ENDING.get(fileName.slice(dot + 1).toLowerCase())
  if (type === undefined) return UNKNOWN
  return isText(type) ? `${type}; charset=utf-8` : type
}

function isText(type: string): boolean {
  return (
    type.startsWith('text/') ||
    type === 'application/javascript' ||
    type === 'application/json' ||
    type === 'application/manifest+json'
  )
}
