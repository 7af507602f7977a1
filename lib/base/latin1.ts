/**
 * Node's own fast paths, which its types leave out: `toString('latin1')` and `write(…, 'latin1')` look the
 * encoding up each time.
 */
interface Latin1Bytes {
  latin1Slice(start: number, end: number): string
  latin1Write(text: string, at: number): number
}

/** bytes[start, end) as text, one character a byte. `bytes` is a Buffer. Hot. */
export function latin1Slice(bytes: Uint8Array, start: number, end: number): string {
  return (bytes as unknown as Latin1Bytes).latin1Slice(start, end)
}

/** Puts text of latin1 characters at `at`. `bytes` is a Buffer with room for it. Hot. */
export function latin1Write(bytes: Uint8Array, text: string, at: number): void {
  ;(bytes as unknown as Latin1Bytes).latin1Write(text, at)
}
