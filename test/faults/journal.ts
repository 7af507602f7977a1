import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** What an app noted about one request. */
export interface Noted {
  /** Endpoints that it came to, in order. */
  readonly arrivedAt: readonly string[]
  /** How often it was executed. */
  readonly executed: number
}

/**
 * The file that all apps of a run append to, a line an event: `arrived ID ENDPOINT`, `executed ID ENDPOINT`.
 */
export class Journal {
  readonly path: string
  readonly #fd: number

  constructor(path: string) {
    this.path = path
    this.#fd = openSync(path, 'a')
  }

  note(event: 'arrived' | 'executed', id: string, endpoint: string): void {
    writeSync(this.#fd, `${event} ${id} ${endpoint}\n`)
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** All that has been noted so far, by request. */
  read(): ReadonlyMap<string, Noted> {
    const seen = new Map<string, { arrivedAt: string[]; executed: number }>()
    for (const line of readFileSync(this.path, 'utf8').split('\n')) {
      const [event, id = '', endpoint = ''] = line.split(' ')
      const noted = seen.get(id) ?? { arrivedAt: [], executed: 0 }
      if (event === 'arrived') noted.arrivedAt.push(endpoint)
      else if (event === 'executed') noted.executed += 1
      else continue
      seen.set(id, noted)
    }
    return seen
  }
}
