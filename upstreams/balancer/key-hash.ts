/**
 * FNV-1a, 32 bits, of a text: what `Picker.pick` takes as its key. Unsigned. For spreading, not for secrets.
 */
export function hashKey(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/**
 * Makes every bit of the result depend on every bit of the input: the finaliser of MurmurHash3. Unsigned, one
 * to one.
 */
export function mixBits(value: number): number {
  let mixed = value
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
