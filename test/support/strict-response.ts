interface ReadResponse {
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  readonly framing: 'none' | 'length' | 'chunked' | 'close'
  readonly complete: boolean
}

interface Head extends Omit<ReadResponse, 'body' | 'complete'> {
  readonly size: number
  readonly length: number
}

const STATUS = /^(HTTP\/1\.[01]) ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)$/

/**
 * Reads one answer from the front of what a client received. Throws for anything but the canonical form, so
 * that a sloppy proxy cannot hide behind a lenient client.
 */
export class ResponseReader {
  readonly #method: string
  #head: Head | undefined
  #at = 0
  readonly #chunks: Buffer[] = []
  /** Bytes that the answer took, once `read` has given it. */
  used = 0

  constructor(method: string) {
    this.#method = method
  }

  /**
   * The answer, or undefined until more has come. Always called with all bytes from the answer's first on.
   */
  read(bytes: Buffer, ended: boolean): ReadResponse | undefined {
    this.#head ??= this.#readHead(bytes)
    const head = this.#head
    if (head === undefined) return undefined
    switch (head.framing) {
      case 'none':
        return this.#done(head, Buffer.alloc(0), head.size, true)
      case 'length':
        return this.#readLength(head, bytes, ended)
      case 'chunked':
        return this.#readChunks(head, bytes, ended)
      case 'close':
        return ended ? this.#done(head, bytes.subarray(head.size), bytes.length, true) : undefined
    }
  }

  #readHead(bytes: Buffer): Head | undefined {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const [line = '', ...rest] = bytes.toString('latin1', 0, end).split('\r\n')
    const parts = STATUS.exec(line)
    if (parts === null) throw new Error(`bad status line ${JSON.stringify(line)}`)
    const fields = rest.map(text => {
      const field = FIELD.exec(text)
      if (field === null) throw new Error(`bad field line ${JSON.stringify(text)}`)
      return [field[1] as string, field[2] as string] as const
    })
    const status = Number(parts[2])
    const framing = this.#framingOf(status, fields)
    this.#at = end + 4
    return {
      version: parts[1] as string,
      status,
      reason: parts[3] as string,
      fields,
      size: end + 4,
      ...framing,
    }
  }

  #framingOf(status: number, fields: ReadResponse['fields']): Pick<Head, 'framing' | 'length'> {
    const values = (name: string) => fields.filter(([n]) => n.toLowerCase() === name).map(([, v]) => v)
    const lengths = values('content-length')
    const codings = values('transfer-encoding')
    if (lengths.length + codings.length > 1) throw new Error('more than one framing in an answer')
    const [length] = lengths
    const [coding] = codings
    if (length !== undefined && !/^(0|[1-9][0-9]*)$/.test(length)) throw new Error(`bad length ${length}`)
    if (coding !== undefined && coding !== 'chunked') throw new Error(`bad coding ${coding}`)
    const bodiless = status < 200 || status === 204
    if (bodiless && lengths.length + codings.length > 0) throw new Error(`framing field on a ${status}`)
    if (bodiless || status === 304 || this.#method === 'HEAD') return { framing: 'none', length: 0 }
    if (coding !== undefined) return { framing: 'chunked', length: 0 }
    if (length !== undefined) return { framing: 'length', length: Number(length) }
    return { framing: 'close', length: 0 }
  }

  #readLength(head: Head, bytes: Buffer, ended: boolean): ReadResponse | undefined {
    const end = head.size + head.length
    if (bytes.length >= end) return this.#done(head, bytes.subarray(head.size, end), end, true)
    return ended ? this.#done(head, bytes.subarray(head.size), bytes.length, false) : undefined
  }

  #readChunks(head: Head, bytes: Buffer, ended: boolean): ReadResponse | undefined {
    for (;;) {
      const lineEnd = bytes.indexOf('\r\n', this.#at)
      if (lineEnd < 0) break
      const line = bytes.toString('latin1', this.#at, lineEnd)
      if (!/^(0|[1-9a-fA-F][0-9a-fA-F]*)$/.test(line))
        throw new Error(`bad chunk size ${JSON.stringify(line)}`)
      const size = Number.parseInt(line, 16)
      const end = lineEnd + 2 + size + 2
      if (bytes.length < end) break
      if (bytes.toString('latin1', end - 2, end) !== '\r\n') throw new Error('bad chunk end')
      this.#chunks.push(bytes.subarray(lineEnd + 2, end - 2))
      this.#at = end
      if (size === 0) return this.#done(head, Buffer.concat(this.#chunks), end, true)
    }
    return ended ? this.#done(head, Buffer.concat(this.#chunks), bytes.length, false) : undefined
  }

  #done(head: Head, body: Buffer, used: number, complete: boolean): ReadResponse {
    this.used = used
    const { version, status, reason, fields, framing } = head
    return { version, status, reason, fields, framing, body, complete }
  }
}
