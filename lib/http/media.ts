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

/** Types outside `text/` whose bytes are not packed already. */
const LOOSE_TYPES = new Set([
  'application/ecmascript',
  'application/geo+json',
  'application/javascript',
  'application/json',
  'application/json5',
  'application/toml',
  'application/vnd.ms-fontobject',
  'application/wasm',
  'application/x-javascript',
  'application/xml',
  'application/xml-dtd',
  'font/otf',
  'font/ttf',
  'image/bmp',
  'image/x-icon',
])

/**
 * True for media types that shrink when compressed: text, scripts, JSON, XML, plain fonts. A value of
 * Content-Type with or without its parameters. What is not known counts as packed already.
 */
export function isCompressible(mediaType: string): boolean {
  const semicolon = mediaType.indexOf(';')
  const type = (semicolon < 0 ? mediaType : mediaType.slice(0, semicolon)).trim().toLowerCase()
  return type.startsWith('text/') || type.endsWith('+json') || type.endsWith('+xml') || LOOSE_TYPES.has(type)
}

function isText(type: string): boolean {
  return (
    type.startsWith('text/') ||
    type === 'application/javascript' ||
    type === 'application/json' ||
    type === 'application/manifest+json'
  )
}
