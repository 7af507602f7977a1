import type { BrowserEvent, DevTools, Fields } from './devtools.ts'
import { until, within } from './until.ts'

/** For a page to load on a machine that has much else to do. */
const SLOW_MS = 60_000

/** An answer as the browser has it. */
export interface PageAnswer {
  readonly url: string
  readonly status: number
  /** `h2`, `http/1.1`. */
  readonly protocol: string
  readonly headers: Readonly<Record<string, string>>
  readonly fromDiskCache: boolean
  readonly securityState: string
  readonly securityDetails?: {
    readonly protocol: string
    readonly subjectName: string
    readonly sanList: readonly string[]
    readonly issuer: string
  }
}

/** One tab of a browser. */
export class Page {
  readonly #tools: DevTools
  readonly #session: string

  constructor(tools: DevTools, session: string) {
    this.#tools = tools
    this.#session = session
  }

  async ask(method: string, params: Fields = {}): Promise<Fields> {
    return this.#tools.ask(method, params, this.#session)
  }

  /** What has been told of this page so far. */
  told(method: string): readonly Fields[] {
    const ours = ({ method: name, session }: BrowserEvent) => session === this.#session && name === method
    return this.#tools.events.filter(ours).map(({ params }) => params)
  }

  /** Goes there, and resolves when everything is loaded; throws where no page came. */
  async visit(url: string): Promise<void> {
    await this.loaded(async () => {
      const { errorText } = await this.ask('Page.navigate', { url })
      if (errorText !== undefined) throw new Error(`${url}: ${String(errorText)}`)
    })
  }

  /** Does what leads to another page, and resolves when that one is loaded. */
  async loaded(act: () => Promise<unknown>): Promise<void> {
    const before = this.told('Page.loadEventFired').length
    await act()
    await until('the page to load', () => this.told('Page.loadEventFired').length > before, SLOW_MS)
  }

  /** The value of an expression in the page, or what its promise gives. */
  async evaluate(expression: string): Promise<unknown> {
    const asked = this.ask('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    const { result, exceptionDetails } = await within(`the value of ${expression}`, asked, SLOW_MS)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { readonly value?: unknown }).value
  }

  /** All answers so far, but for those that sent it elsewhere. */
  get answers(): readonly PageAnswer[] {
    return this.told('Network.responseReceived').map(({ response }) => response as PageAnswer)
  }

  /** Answers that sent it elsewhere. */
  get redirects(): readonly PageAnswer[] {
    return this.told('Network.requestWillBeSent').flatMap(({ redirectResponse }) =>
      redirectResponse === undefined ? [] : [redirectResponse as PageAnswer],
    )
  }

  /** What the console shows in red: failed requests, exceptions, and what pages complain of themselves. */
  get errors(): readonly Fields[] {
    const entries = this.told('Log.entryAdded').map(({ entry }) => entry as Fields)
    const calls = this.told('Runtime.consoleAPICalled')
    return [
      ...entries.filter(({ level }) => level === 'error'),
      ...calls.filter(({ type }) => type === 'error' || type === 'assert'),
      ...this.told('Runtime.exceptionThrown'),
    ]
  }
}
