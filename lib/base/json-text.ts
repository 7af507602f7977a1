const QUOTE = 0x22
const BACKSLASH = 0x5c
// DEL and C1 controls, which JSON allows as they are but a terminal may obey, and the two separators that
// split a line.
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g

/**
 * `text` as it stands between the quotes of a JSON string (RFC 8259 7), cut after `maxLength` characters.
 * Hot: one look at each character, and work only where something must be escaped, which next to never
 * happens.
 */
export function jsonText(text: string, maxLength: number): string {
  return jsonSlice(text, 0, text.length, maxLength)
}

/**
 * The same for text[start, end). Where that is known, ask for it: V8 reads a string faster than a slice of
 * it.
 */
export function jsonSlice(text: string, start: number, end: number, maxLength: number): string {
  if (end - start > maxLength) return `${jsonSlice(text, start, start + maxLength, maxLength)}...`
  for (let i = start; i < end; i += 1) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === QUOTE || code === BACKSLASH || code >= 0x7f)
      return escaped(text.slice(start, end))
  }
  return text.slice(start, end)
}

function escaped(text: string): string {
  const json = JSON.stringify(text).slice(1, -1)
  return json.replace(UNSAFE, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
