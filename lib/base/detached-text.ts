import { latin1Slice, latin1Write } from './latin1.ts'

/** V8 copies shorter slices; longer ones are views that keep all of their text alive. */
const COPIED_LENGTH = 13

let scratch = Buffer.allocUnsafeSlow(4096)

/**
 * The same latin1 text with memory of its own: one short name cut out of a large message would keep all of
 * that.
 */
export function detached(text: string): string {
  if (text.length < COPIED_LENGTH) return text
  if (scratch.length < text.length) scratch = Buffer.allocUnsafeSlow(2 * text.length)
  latin1Write(scratch, text, 0)
  return latin1Slice(scratch, 0, text.length)
}
