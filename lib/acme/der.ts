// As much of DER (X.690 8.1) as certificates need that no library here reads or makes: identifiers of one
// byte, definite lengths.

/** Tags of X.690 8 and of RFC 5280. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  /** [2] of GeneralName */
  dnsName: 0x82,
  /** [0] of CertificationRequestInfo */
  attributes: 0xa0,
  version: 0xa0,
  extensions: 0xa3,
} as const

/** One value, and what it is. */
export interface DerElement {
  readonly tag: number
  readonly content: Buffer
}

/** The elements that stand one behind the other in `bytes`. Throws RangeError where they are cut off. */
export function readElements(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes.readUInt8(at)
    const short = bytes.readUInt8(at + 1)
    const longBytes = short < 0x80 ? 0 : short - 0x80
    const length = longBytes === 0 ? short : bytes.readUIntBE(at + 2, longBytes)
    const start = at + 2 + longBytes
    if (start + length > bytes.length) throw new RangeError('the element is longer than what holds it')
    elements.push({ tag, content: bytes.subarray(start, start + length) })
    at = start + length
  }
  return elements
}

/** One element of these parts. */
export function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content])
}

/** `1.2.840.10045.4.3.2` (X.690 8.19). */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return element(TAG.objectId, Buffer.from([40 * first + second, ...rest.flatMap(base128)]))
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length]
  if (length < 0x100) return [0x81, length]
  return [0x82, length >> 8, length & 0xff]
}

function base128(number: number): number[] {
  const groups = [number & 0x7f]
  for (let rest = number >> 7; rest > 0; rest >>= 7) groups.unshift((rest & 0x7f) | 0x80)
  return groups
}
