// Just enough HPACK (RFC 7541): a writer of literals without Huffman code, and a reader of the status of an
// answer.

/** Entries of the static table that name the parts of a request (RFC 7541 Appendix A). */
const METHOD_GET = 2
const METHOD_POST = 3
const PATH = 4
const SCHEME_HTTP = 6
const STATUS = 8
const AUTHORITY = 1

/** The status of an indexed field, from index 8 on. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500]

/** An integer with a prefix of so many bits; `pattern` fills the bits above it (RFC 7541 5.1). */
export function integer(value: number, prefixBits: number, pattern: number): Buffer {
  const most = 2 ** prefixBits - 1
  if (value < most) return Buffer.from([pattern | value])
  const bytes = [pattern | most]
  let rest = value - most
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(0x80 | (rest % 128))
  bytes.push(rest)
  return Buffer.from(bytes)
}

const string = (text: string) => Buffer.concat([integer(text.length, 7, 0), Buffer.from(text, 'latin1')])

/** A field by its place in the tables; 62 is the newest of the dynamic one. */
export const indexed = (index: number) => integer(index, 7, 0x80)

/** A literal without indexing. */
export const literal = (name: string, value: string) =>
  Buffer.concat([Buffer.from([0]), string(name), string(value)])

/** A literal that also becomes the newest entry of the dynamic table. */
export const remembered = (name: string, value: string) =>
  Buffer.concat([Buffer.from([0x40]), string(name), string(value)])

const namedBy = (index: number, value: string) => Buffer.concat([integer(index, 4, 0), string(value)])

/** The field block of a request: the four parts, then `more` as it is. */
export function requestBlock(method: 'GET' | 'POST', path: string, ...more: readonly Uint8Array[]): Buffer {
  return Buffer.concat([
    indexed(method === 'GET' ? METHOD_GET : METHOD_POST),
    indexed(SCHEME_HTTP),
    namedBy(PATH, path),
    namedBy(AUTHORITY, 'example.test'),
    ...more,
  ])
}

/** The field block of a request for a WebSocket (RFC 8441 4). */
export function webSocketBlock(path: string): Buffer {
  return Buffer.concat([
    literal(':method', 'CONNECT'),
    literal(':protocol', 'websocket'),
    indexed(SCHEME_HTTP),
    namedBy(PATH, path),
    namedBy(AUTHORITY, 'example.test'),
    literal('sec-websocket-version', '13'),
  ])
}

/**
 * The status that a field block begins with. The peer has to be told a table size of 0 before: then whatever
 * is not in the static table comes as a literal.
 */
export function statusOf(block: Buffer): number | undefined {
  let at = 0
  while (((block[at] ?? 0) & 0xe0) === 0x20) at += 1 // a change of the table's size, to 0
  const first = block[at] ?? 0
  if (first >= 0x80) return STATUSES[(first & 0x7f) - STATUS]
  const prefix = (first & 0xc0) === 0x40 ? 0x3f : 0x0f
  if ((first & prefix) !== STATUS) return undefined
  const length = block[at + 1] ?? 0
  const text = block.subarray(at + 2, at + 2 + (length & 0x7f))
  return Number((length & 0x80) === 0 ? text.toString('latin1') : digitsOf(text))
}

/** Three digits in Huffman code: 0 to 2 are 5 bits, the others 6 (RFC 7541 Appendix B). */
function digitsOf(code: Buffer): string {
  const bits = [...code].map(byte => byte.toString(2).padStart(8, '0')).join('')
  let digits = ''
  for (let at = 0; digits.length < 3; ) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2)
    if (five <= 2) {
      digits += five
      at += 5
    } else {
      const six = Number.parseInt(bits.slice(at, at + 6), 2)
      digits += six - 0x19 + 3
      at += 6
    }
  }
  return digits
}
