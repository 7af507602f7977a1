import type { Readable, Writable } from 'node:stream'

export type Fields = Readonly<Record<string, unknown>>

/** What a browser tells unasked; `session` is that of the page that it is about. */
export interface BrowserEvent {
  readonly method: string
  readonly params: Fields
  readonly session: string | undefined
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Fields
  readonly result?: Fields
  readonly error?: { readonly message: string }
  readonly sessionId?: string
}

/** A browser's DevTools protocol over two pipes: messages in JSON, each with a NUL behind it. */
export class DevTools {
  readonly events: BrowserEvent[] = []
  readonly #input: Writable
  readonly #asked = new Map<number, PromiseWithResolvers<Fields>>()
  #count = 0
  #rest = ''

  constructor(input: Writable, output: Readable) {
    this.#input = input.on('error', () => this.#end())
    output.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    output.once('close', () => this.#end())
  }

  /** The command's result; throws what the browser has against it, and when it ends before. */
  async ask(method: string, params: Fields = {}, sessionId?: string): Promise<Fields> {
    this.#count += 1
    const answer = Promise.withResolvers<Fields>()
    this.#asked.set(this.#count, answer)
    this.#input.write(`${JSON.stringify({ id: this.#count, method, params, sessionId })}\0`)
    return answer.promise
  }

  #read(text: string): void {
    const messages = (this.#rest + text).split('\0')
    this.#rest = messages.pop() ?? ''
    for (const message of messages) this.#take(JSON.parse(message) as Message)
  }

  #take({ id, method, params = {}, result = {}, error, sessionId: session }: Message): void {
    if (method !== undefined) this.events.push({ method, params, session })
    if (id === undefined) return
    const answer = this.#asked.get(id)
    this.#asked.delete(id)
    if (error === undefined) answer?.resolve(result)
    else answer?.reject(new Error(error.message))
  }

  #end(): void {
    for (const { reject } of this.#asked.values()) reject(new Error('the browser has ended'))
    this.#asked.clear()
  }
}
