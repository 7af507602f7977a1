interface Init {
  readonly method?: string
  readonly body?: FormData
  readonly headers: Readonly<Record<string, string>>
}

/** What a browser keeps of a site: cookies, and the address that it says a form came from. */
export class Browser {
  /** Where it sends requests, and where it believes to be. */
  readonly #address: string
  readonly #origin: string
  readonly #always: Readonly<Record<string, string>>
  readonly #cookies = new Map<string, string>()

  /** `'https'`: through something in front that ends TLS. */
  constructor(address: string, scheme: 'http' | 'https' = 'http') {
    this.#address = address
    this.#origin = address.replace(/^http/, scheme)
    this.#always = scheme === 'https' ? { 'X-Forwarded-Proto': 'https' } : {}
  }

  /** A page as it comes; redirects are not followed. */
  async get(path: string, fields: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.#fetch(path, { headers: fields })
  }

  /** Sends the form of a page to the page itself, with the token that the page holds. */
  async submit(path: string, values: Readonly<Record<string, string | File>>): Promise<Response> {
    const page = await this.get(path)
    const body = new FormData()
    body.set('csrfmiddlewaretoken', tokenIn(await page.text()))
    for (const [name, value] of Object.entries(values)) body.set(name, value)
    return this.post(path, body)
  }

  async post(path: string, body: FormData): Promise<Response> {
    const headers = { Origin: this.#origin, Referer: `${this.#origin}${path}` }
    return this.#fetch(path, { method: 'POST', body, headers })
  }

  async #fetch(path: string, init: Init): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = new Headers({ ...this.#always, ...init.headers })
    if (cookie !== '') headers.set('Cookie', cookie)
    const signal = AbortSignal.timeout(30_000)
    const answer = await fetch(this.#address + path, { ...init, headers, signal, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      this.#cookies.set(name, value)
    }
    return answer
  }
}

function tokenIn(page: string): string {
  const [, token] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page) ?? []
  if (token === undefined) throw new Error(`a page without a form:\n${page}`)
  return token
}
