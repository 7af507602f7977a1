/** The same numbers for the same seed (mulberry32), from 0 to 1. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const CLOSED = ['api', 'admin', 'caf%C3%A9']
/** What readers are known to read in different ways, alone or put together. */
const PIECES = [
  ...['/', '/', '/', '//', '%2f', '%2F', '%5c', '%5C', '%c0%af', '%252f', '%e0%80%af'],
  ...['.', '..', '..', '...', '%2e', '%2E', '%2e%2e', '.%2e', '%252e%252e', '%c0%ae%c0%ae'],
  ...[';', ';v=1', '..;', '%3b', '?', '%3f', '%23', '%00', '%0a', '%09', '%20', '%25'],
  ...['x', 'y', 'files', 'host', 'host:80', 'a@b', 'http:', '%61', '%C3%A9', '%E9', '+', '&', '~'],
]

/** Closed prefixes in spellings that some reader takes for them. */
function spelled(random: () => number): string {
  const name = pick(CLOSED, random)
  if (random() < 0.7) return name
  const at = Math.floor(random() * 3)
  return `${name.slice(0, at)}%${name.charCodeAt(at).toString(16)}${name.slice(at + 1)}`
}

/**
 * Paths, all different, with a closed prefix somewhere: by one reader they may lead below it, by another past
 * it.
 */
export function* oddPaths(count: number, random: () => number): Generator<string> {
  const seen = new Set<string>()
  while (seen.size < count) {
    const pieces = Array.from({ length: 1 + Math.floor(random() * 6) }, () => pick(PIECES, random))
    const at = random() < 0.5 ? 0 : Math.floor(random() * (pieces.length + 1))
    pieces.splice(at, 0, spelled(random))
    const path = `/${pieces.join(random() < 0.4 ? '/' : '')}`
    if (seen.has(path)) continue
    seen.add(path)
    yield path
  }
}

/**
 * What counts as honest: whatever a browser, a library or a person makes of a name that somebody has given to
 * a page, a file or a user, in segments that no closed prefix has. An escaped slash belongs to a segment, a
 * second slash is a slip within the path, and parameters, dots that are no segment, and escapes of every
 * octet but NUL and the line's end are part of a name.
 */
const HONEST = [
  ...[
    'index.html',
    'users',
    '42',
    'a-b_c.d~e',
    'Api',
    'ADMIN',
    'apis',
    'api-docs',
    'v1.2',
    'a..b',
    '...',
    '.well-known',
  ],
  ...[
    'a%20b',
    '%C3%BCber',
    'caf%E9',
    '%E2%82%AC',
    '%F0%9F%98%80',
    '%d0%bf%d1%83%d1%82%d1%8c',
    '%A4%A4%A4%E5',
  ],
  ...[
    'a%2Fb',
    'a%2fb',
    '@scope%2fname',
    'http:%2F%2Fhost%2Fpath',
    'https%3A%2F%2Fhost%2F',
    'http%253A%252F%252Fhost',
  ],
  ...[
    '100%25',
    '50%25%20off',
    '%2525',
    'what%3F',
    'c%23',
    'a%5Cb',
    'a;v=1',
    'a%3Bb',
    'a:b@c',
    '@user',
    'a,b',
    "it's",
  ],
  ...[
    '(a)',
    'a+b',
    'a%2Bb',
    'a=b&c',
    '$',
    '!',
    '*',
    'aGVsbG8=',
    '%7Euser',
    '~user',
    '%61bc',
    'x%2Ey',
    '%22q%22',
    '%3Ca%3E',
    '%7Bid%7D',
  ],
] as const

/** Honest paths below a prefix that ends with a slash. */
export function* honestPaths(prefix: string, count: number, random: () => number): Generator<string> {
  for (const segment of HONEST) yield `${prefix}x/${segment}`
  for (let i = HONEST.length; i < count; i += 1) {
    const segments = Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(HONEST, random))
    const slip = random() < 0.05 ? '/' : ''
    yield `${prefix}x/${slip}${segments.join('/')}${random() < 0.2 ? '/' : ''}`
  }
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T
}
