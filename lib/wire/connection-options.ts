import { COMMA, HTAB, isToken, isWord, SP } from './characters.ts'

/** More than any client has a reason to name; each one costs a look-up per field. */
const MAX_NAMED = 32

/** What the Connection fields of one message say (RFC 9110 7.6.1). Reused: `clear` before each message. */
export class ConnectionOptions {
  close = false
  keepAlive = false
  /** Lower-case names other than `close` and `keep-alive`. */
  named: Set<string> | undefined = undefined

  clear(): void {
    this.close = false
    this.keepAlive = false
    this.named = undefined
  }

  /** Takes the list at text[start, end). False if a member is not a token, or if there are too many. */
  add(text: string, start: number, end: number): boolean {
    for (let from = start; from < end; ) {
      let to = from
      while (to < end && text.charCodeAt(to) !== COMMA) to += 1
      if (!this.#member(text, from, to)) return false
      from = to + 1
    }
    return true
  }

  #member(text: string, from: number, to: number): boolean {
    let start = from
    let end = to
    while (start < end && isBlank(text.charCodeAt(start))) start += 1
    while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
    // RFC 9110 5.6.1.2: empty members are ignored.
    if (start === end) return true
    if (isWord(text, start, end, 'keep-alive')) this.keepAlive = true
    else if (isWord(text, start, end, 'close')) this.close = true
    else return this.#name(text, start, end)
    return true
  }

  #name(text: string, start: number, end: number): boolean {
    if (!isToken(text, start, end)) return false
    this.named ??= new Set()
    this.named.add(text.slice(start, end).toLowerCase())
    return this.named.size <= MAX_NAMED
  }
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB
}
