/** A Set-Cookie field, taken apart. */
export interface Cookie {
  readonly name: string
  readonly value: string
  readonly secure: boolean
  readonly httpOnly: boolean
  /** Lower case; undefined if it is not said. */
  readonly sameSite: string | undefined
}

/** Reads one Set-Cookie value (RFC 6265 5.2). */
export function readCookie(line: string): Cookie {
  const [pair = '', ...attributes] = line.split(';').map(part => part.trim())
  const equals = pair.indexOf('=')
  const said = new Map(attributes.map(splitAttribute))
  return {
    name: equals < 0 ? '' : pair.slice(0, equals).trim(),
    value: pair.slice(equals + 1).trim(),
    secure: said.has('secure'),
    httpOnly: said.has('httponly'),
    sameSite: said.get('samesite'),
  }
}

/** The value of a Cookie field that gives these back. */
export function cookieHeader(lines: readonly string[]): string {
  return lines
    .map(readCookie)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
}

function splitAttribute(text: string): readonly [string, string] {
  const [name = '', value = ''] = text.split('=', 2)
  return [name.trim().toLowerCase(), value.trim().toLowerCase()]
}
