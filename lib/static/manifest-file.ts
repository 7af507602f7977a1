import { join } from 'node:path'
import { stampOf, takeInName } from './file-bytes.ts'
import { MAX_MANIFEST_BYTES, type ManifestReading } from './manifest.ts'
import { statIfThere } from './open-file.ts'

const NONE: ReadonlySet<string> = new Set()

/** One manifest that may stand below a root, as it was last understood. */
export class ManifestFile {
  readonly path: string
  readonly #root: string
  readonly #name: string
  readonly #read: (text: string) => ManifestReading
  #names: ReadonlySet<string> = NONE
  /** Of the file that was last read; undefined before the first look. */
  #stamp: string | undefined
  /** Not told yet. */
  #trouble: string | undefined

  constructor(root: string, name: string, read: (text: string) => ManifestReading) {
    this.#root = root
    this.#name = name
    this.#read = read
    this.path = join(root, name)
  }

  /** Names of the newest state that could be read; empty if the file is not there. */
  get names(): ReadonlySet<string> {
    return this.#names
  }

  /**
   * Reads the file again if it has changed. Gives the reason why it cannot be used: once, and not before it
   * has stayed so from one look to the next, because writers take a moment. Throws what `openInside` throws.
   */
  async look(): Promise<string | undefined> {
    const stamp = stampOf(await statIfThere(this.path))
    if (stamp === this.#stamp) return this.#takeTrouble()
    const loaded = stamp === '' ? undefined : await takeInName(this.#root, this.#name, MAX_MANIFEST_BYTES)
    // It changes just now: the next look will see.
    if (loaded !== undefined && loaded.body === undefined && loaded.stat.size <= MAX_MANIFEST_BYTES)
      return undefined
    this.#stamp = loaded === undefined ? '' : stampOf(loaded.stat)
    if (loaded === undefined) this.#understand({ kind: 'names', names: NONE })
    else if (loaded.body === undefined) this.#understand({ kind: 'broken', reason: 'it is too large' })
    else this.#understand(this.#read(loaded.body.toString('utf8')))
    return undefined
  }

  #takeTrouble(): string | undefined {
    const reason = this.#trouble
    this.#trouble = undefined
    return reason
  }

  #understand(reading: ManifestReading): void {
    if (reading.kind === 'broken') {
      this.#trouble = reading.reason
      return
    }
    this.#trouble = undefined
    this.#names = reading.kind === 'names' ? reading.names : NONE
  }
}
