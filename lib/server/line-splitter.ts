/** Characters of one line that are kept; the rest of a longer one is cut away. */
const MAX_LINE_CHARS = 8 * 1024

/** Cuts a process's output into lines. Bounded: an endless line costs no more than its first part. */
export class LineSplitter {
  readonly #emit: (line: string) => void
  #rest = ''
  #cutting = false

  constructor(emit: (line: string) => void) {
    this.#emit = emit
  }

  push(text: string): void {
    let from = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      this.#take(text.slice(from, end))
      this.#endLine()
      from = end + 1
    }
    this.#take(text.slice(from))
  }

  /** The output has ended: what stands there without a line end is a line too. */
  end(): void {
    this.#endLine()
  }

  #take(part: string): void {
    if (this.#cutting) return
    this.#rest += part
    if (this.#rest.length <= MAX_LINE_CHARS) return
    this.#rest = `${this.#rest.slice(0, MAX_LINE_CHARS)} [cut]`
    this.#cutting = true
  }

  #endLine(): void {
    const line = this.#rest.trimEnd()
    this.#rest = ''
    this.#cutting = false
    if (line !== '') this.#emit(line)
  }
}
