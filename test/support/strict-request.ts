/** A request head that is in the one form a careful proxy writes. */
export interface StrictHead {
  readonly raw: string
  readonly method: string
  readonly target: string
  readonly fields: readonly (readonly [name: string, value: string])[]
}

/** Who is told what the parser finds. */
export interface StrictSink {
  head(head: StrictHead): void
  body(bytes: Buffer): void
  end(): void
  /** Something that is not exactly canonical; nothing behind it is read. */
  dirty(reason: string, raw: string): void
}

const LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\/[\x21-\x22\x24-\x7e]*|\*) HTTP\/1\.1$/
const FIELD =
  /^([!#$%&'*+.^`|~0-9A-Za-z-]+): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)$/
const ONCE = [
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'cookie',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
]
const NEVER = ['te', 'trailer', 'keep-alive', 'proxy-connection', 'http2-settings', 'expect', 'proxy']
const MAX_HEAD = 256 * 1024

/**
 * Reads what reaches an app, and takes nothing but the one canonical form: everything that two parsers could
 * read in two ways is dirty. Shares no code with the proxy, so that it cannot share its mistakes.
 */
export class StrictRequestParser {
  readonly #sink: StrictSink
  #state: 'head' | 'data' | 'size' | 'chunk-end' | 'last' | 'dirty' = 'head'
  #rest: Buffer = Buffer.alloc(0)
  #left = 0
  #chunked = false

  constructor(sink: StrictSink) {
    this.#sink = sink
  }

  push(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    while (this.#step());
  }

  /** True between two requests with nothing left over: where a connection may end. */
  get idle(): boolean {
    return this.#state === 'head' && this.#rest.length === 0
  }

  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#readHead()
      case 'data':
        return this.#readData()
      case 'size':
        return this.#readSize()
      case 'chunk-end':
        return this.#readMark('size')
      case 'last':
        return this.#readMark('head')
      case 'dirty':
        return false
    }
  }

  #readHead(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) {
      if (this.#rest.length > MAX_HEAD) this.#spoil('endless head')
      return false
    }
    const raw = this.#take(end + 4).toString('latin1')
    const head = parseHead(raw)
    if (typeof head === 'string') return this.#spoil(head, raw)
    const framing = framingOf(head.fields)
    if (typeof framing === 'string') return this.#spoil(framing, raw)
    this.#sink.head(head)
    this.#chunked = framing.chunked
    this.#left = framing.length
    if (this.#chunked) this.#state = 'size'
    else if (this.#left > 0) this.#state = 'data'
    else this.#sink.end()
    return true
  }

  #readData(): boolean {
    if (this.#rest.length === 0) return false
    const bytes = this.#take(Math.min(this.#left, this.#rest.length))
    this.#left -= bytes.length
    this.#sink.body(bytes)
    if (this.#left > 0) return true
    this.#state = this.#chunked ? 'chunk-end' : 'head'
    if (!this.#chunked) this.#sink.end()
    return true
  }

  #readSize(): boolean {
    const end = this.#rest.indexOf('\n')
    if (end < 0) return this.#rest.length > 16 ? this.#spoil('endless chunk size') : false
    const line = this.#take(end + 1).toString('latin1')
    if (!/^(0|[1-9a-fA-F][0-9a-fA-F]{0,12})\r\n$/.test(line)) return this.#spoil('chunk size', line)
    this.#left = Number.parseInt(line, 16)
    this.#state = this.#left === 0 ? 'last' : 'data'
    return true
  }

  /** The CRLF behind a chunk, or behind the last one: trailers do not travel. */
  #readMark(next: 'size' | 'head'): boolean {
    if (this.#rest.length < 2) return false
    const mark = this.#take(2).toString('latin1')
    if (mark !== '\r\n') return this.#spoil('chunk end', mark)
    this.#state = next
    if (next === 'head') this.#sink.end()
    return true
  }

  #take(count: number): Buffer {
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  #spoil(reason: string, raw = this.#rest.toString('latin1')): false {
    this.#state = 'dirty'
    this.#sink.dirty(reason, raw)
    return false
  }
}

function parseHead(raw: string): StrictHead | string {
  const lines = raw.slice(0, -4).split('\r\n')
  const line = LINE.exec(lines[0] ?? '')
  if (line === null) return 'request line'
  const fields: [string, string][] = []
  for (const text of lines.slice(1)) {
    const field = FIELD.exec(text)
    if (field === null) return `field ${JSON.stringify(text)}`
    fields.push([field[1] as string, field[2] as string])
  }
  return { raw, method: line[1] as string, target: line[2] as string, fields }
}

function framingOf(fields: StrictHead['fields']): { chunked: boolean; length: number } | string {
  const values = (name: string) => fields.filter(([n]) => n.toLowerCase() === name).map(([, v]) => v)
  for (const name of ONCE) if (values(name).length > 1) return `${name} twice`
  for (const name of NEVER) if (values(name).length > 0) return `${name} reached the app`
  if (values('host').length !== 1) return 'no host'
  const [length] = values('content-length')
  const [coding] = values('transfer-encoding')
  const [connection] = values('connection')
  if (values('upgrade').length > 0)
    return isSwitch(values) ? { chunked: false, length: 0 } : 'upgrade reached the app'
  if (connection !== undefined && !/^(close|keep-alive)$/i.test(connection)) return 'connection options'
  if (length !== undefined && coding !== undefined) return 'both framings'
  if (coding !== undefined && coding !== 'chunked') return 'transfer coding'
  if (length !== undefined && !/^(0|[1-9][0-9]{0,15})$/.test(length)) return 'content length'
  return { chunked: coding !== undefined, length: Number(length ?? 0) }
}

/** The one form in which a request may ask for another protocol. */
function isSwitch(values: (name: string) => string[]): boolean {
  return (
    values('upgrade').join() === 'websocket' &&
    values('connection').join() === 'Upgrade' &&
    values('sec-websocket-key').length === 1 &&
    values('sec-websocket-version').length === 1 &&
    values('content-length').length === 0 &&
    values('transfer-encoding').length === 0
  )
}
