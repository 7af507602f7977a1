import { join } from 'node:path'
import { type Loaded, takeInName } from './file-bytes.ts'
import { statIfThere } from './open-file.ts'

/** A file that was read whole. */
export type HeldFile = Loaded & { readonly body: Buffer }

interface Candidate {
  readonly name: string
  readonly bytes: number
}

/**
 * The files that a root's manifests name, in memory, for the time when a deploy has removed them from the
 * disk. Bounded in bytes: what a page needs goes first (source maps last), small before large.
 */
export class HeldFiles {
  readonly #root: string
  readonly #maxBytes: number
  readonly #files = new Map<string, HeldFile>()
  #bytes = 0

  constructor(root: string, maxBytes: number) {
    this.#root = root
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#files.size
  }

  get(name: string): HeldFile | undefined {
    return this.#files.get(name)
  }

  /** Lets go of all that `isWanted` does not want. */
  retain(isWanted: (name: string) => boolean): void {
    for (const [name, { body }] of this.#files) {
      if (isWanted(name)) continue
      this.#files.delete(name)
      this.#bytes -= body.length
    }
  }

  /**
   * Reads what is not held yet, one file at a time; gives the number of files that are there and did not fit.
   * Stops early once `goOn` says so. Throws what `openInside` throws.
   */
  async fill(names: readonly string[], goOn: () => boolean): Promise<number> {
    let left = 0
    for (const { name, bytes } of await this.#candidates(names, goOn)) {
      if (!goOn()) break
      if (this.#bytes + bytes > this.#maxBytes) left += 1
      else await this.#read(name)
    }
    return left
  }

  async #candidates(names: readonly string[], goOn: () => boolean): Promise<Candidate[]> {
    const found: Candidate[] = []
    for (const name of names) {
      if (!goOn()) return []
      if (this.#files.has(name)) continue
      const stat = await statIfThere(join(this.#root, name))
      if (stat?.isFile()) found.push({ name, bytes: Number(stat.size) })
    }
    const isMap = ({ name }: Candidate) => Number(name.endsWith('.map'))
    return found.sort((a, b) => isMap(a) - isMap(b) || a.bytes - b.bytes)
  }

  async #read(name: string): Promise<void> {
    const loaded = await takeInName(this.#root, name, this.#maxBytes - this.#bytes)
    if (loaded?.body === undefined) return
    this.#files.set(name, { stat: loaded.stat, body: loaded.body })
    this.#bytes += loaded.body.length
  }
}
