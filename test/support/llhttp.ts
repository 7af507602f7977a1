// Node's own HTTP parser, by the door that node:http uses itself. It is not public, so only tests come in
// here.

interface Parser {
  [event: number]: unknown
  initialize(type: number, resource: object): void
  execute(bytes: Buffer): number | Error
  close(): void
}

interface HttpCommon {
  readonly HTTPParser: (new () => Parser) & {
    readonly REQUEST: number
    readonly kOnHeaders: number
    readonly kOnHeadersComplete: number
    readonly kOnBody: number
    readonly kOnMessageComplete: number
  }
  readonly methods: readonly string[]
}

const common = process.getBuiltinModule('_http_common') as HttpCommon
const { HTTPParser } = common

/** The methods that llhttp knows; it refuses every other token. */
export const LLHTTP_METHODS: ReadonlySet<string> = new Set(common.methods)

/** What llhttp made of some bytes. */
export interface Reading {
  /** HPE_…; undefined as long as nothing is wrong. */
  readonly error: string | undefined
  /** Bytes up to the end of the head and of the message; undefined if they do not end. */
  readonly headEnd: number | undefined
  readonly end: number | undefined
  readonly method: string
  readonly target: string
  /** Name, value, name, value: as they were sent. */
  readonly fields: readonly string[]
  readonly body: string
}

/** Reads one request, a byte at a time, so that its ends are known exactly. */
export function readByLlhttp(text: string): Reading {
  const reader = new Reader()
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length && reader.reading; at += 1) reader.take(bytes.subarray(at, at + 1))
  return reader.close()
}

class Reader {
  readonly #parser = new HTTPParser()
  readonly #fields: string[] = []
  #taken = 0
  #error: string | undefined
  #headEnd: number | undefined
  #end: number | undefined
  #method = ''
  #target = ''
  #body = ''

  constructor() {
    const parser = this.#parser
    parser.initialize(HTTPParser.REQUEST, {})
    // More than 32 fields come in parts, and the target then comes with the first of them.
    parser[HTTPParser.kOnHeaders] = (fields: string[], target: string) => {
      this.#fields.push(...fields)
      this.#target += target
    }
    parser[HTTPParser.kOnHeadersComplete] = (
      ...[, , fields, method, target]: [number, number, string[] | undefined, number, string | undefined]
    ) => {
      this.#fields.push(...(fields ?? []))
      this.#method = common.methods[method] ?? ''
      this.#target += target ?? ''
      this.#headEnd = this.#taken
      return 0
    }
    parser[HTTPParser.kOnBody] = (bytes: Buffer) => {
      this.#body += bytes.toString('latin1')
    }
    parser[HTTPParser.kOnMessageComplete] = () => {
      this.#end = this.#taken
    }
  }

  get reading(): boolean {
    return this.#error === undefined && this.#end === undefined
  }

  take(bytes: Buffer): void {
    this.#taken += bytes.length
    const result = this.#parser.execute(bytes)
    if (result instanceof Error) this.#error = (result as NodeJS.ErrnoException).code ?? result.message
  }

  close(): Reading {
    this.#parser.close()
    return {
      error: this.#error,
      headEnd: this.#headEnd,
      end: this.#end,
      method: this.#method,
      target: this.#target,
      fields: this.#fields,
      body: this.#body,
    }
  }
}
