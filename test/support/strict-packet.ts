/** A uwsgi packet as an app server reads it. */
export interface StrictPacket {
  readonly variables: ReadonlyMap<string, string>
  /** Bytes that it took; the body follows. */
  readonly size: number
}

/**
 * Reads the packet at the start of `bytes`; undefined: more is needed. Throws at anything that a careful
 * sender does not write: another modifier, sizes that do not fit into each other, an empty or repeated key.
 */
export function readPacket(bytes: Buffer): StrictPacket | undefined {
  if (bytes.length < 4) return undefined
  if (bytes[0] !== 0 || bytes[3] !== 0) throw new Error(`modifiers ${bytes[0]} and ${bytes[3]}`)
  const size = 4 + bytes.readUInt16LE(1)
  if (bytes.length < size) return undefined
  const variables = new Map<string, string>()
  let at = 4
  const text = () => {
    if (at + 2 > size) throw new Error('a size is cut off')
    const end = at + 2 + bytes.readUInt16LE(at)
    if (end > size) throw new Error('a size points behind the block')
    const read = bytes.toString('latin1', at + 2, end)
    at = end
    return read
  }
  while (at < size) {
    const key = text()
    if (key === '' || variables.has(key))
      throw new Error(`key ${JSON.stringify(key)} is empty or there twice`)
    variables.set(key, text())
  }
  return { variables, size }
}
