import { resolve } from 'node:path'
import { Periodic } from '../../base/periodic.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { Timers } from '../../base/timers.ts'
import { type WriteTrouble, writeTroubleOf } from '../../base/writable-folder.ts'
import { SpoolFile } from '../../proxy/spool-file.ts'

/** How often the folder is tried, and how long one try may take before that is the trouble. */
const LOOK_MS = 10_000
const ONE_BYTE = Buffer.alloc(1)
const SILENT: WriteTrouble = {
  what: 'does not respond',
  hint: 'is it on a network disk that was lost? Specify a folder on a local disk',
  full: false,
}

export interface SpoolWatchOptions {
  readonly timers: Timers
  readonly log: ServerLog
  /** The folder of the running configuration. */
  folder(): string
  /** For tests; else a file in the folder, and a byte in it. */
  readonly attempt?: (folder: string, done: (error: NodeJS.ErrnoException | undefined) => void) => void
}

/**
 * Tries from time to time what the data threads do when a body does not fit into memory: a file in the
 * spool's folder and a byte in it. So an operator knows before the first large upload; each flip is logged
 * once.
 */
export class SpoolWatch {
  readonly #options: SpoolWatchOptions
  readonly #looks: Periodic
  #trouble: WriteTrouble | undefined = undefined
  /** The folder of the try that has not ended: one that does not answer says nothing about another. */
  #trying: string | undefined = undefined
  #stopped = false

  constructor(options: SpoolWatchOptions) {
    this.#options = options
    this.#looks = new Periodic(options.timers, LOOK_MS, () => this.#due())
  }

  /** Why bodies find no room in files, with the folder; undefined while they do. */
  get problem(): string | undefined {
    const trouble = this.#trouble
    return trouble && `server.spool.folder ${this.#folder} ${trouble.what}`
  }

  /** Looks now, and from now on. To be called again when the folder may be another. */
  look(): void {
    if (this.#stopped) return
    this.#looks.start()
    this.#try()
  }

  #try(): void {
    const folder = this.#folder
    if (this.#trying === folder) return
    this.#trying = folder
    const { attempt = writeByte } = this.#options
    attempt(folder, error => {
      if (this.#trying !== folder) return
      this.#trying = undefined
      this.#found(error && writeTroubleOf(error))
    })
  }

  stop(): void {
    this.#stopped = true
    this.#looks.stop()
  }

  get #folder(): string {
    return resolve(this.#options.folder())
  }

  #due(): void {
    if (this.#trying === this.#folder) this.#found(SILENT)
    this.#try()
  }

  #found(trouble: WriteTrouble | undefined): void {
    if (this.#stopped) return
    const before = this.#trouble
    this.#trouble = trouble
    if (before?.what === trouble?.what) return
    const { log } = this.#options
    const folder = this.#folder
    if (trouble === undefined) log.info({ folder }, 'spool folder can be written again')
    else
      log.warn(
        { folder, uid: process.geteuid?.(), problem: trouble.what, help: trouble.hint },
        'spool folder cannot be used: uploads that do not fit into memory get a 503',
      )
  }
}

function writeByte(folder: string, done: (error: NodeJS.ErrnoException | undefined) => void): void {
  const file = new SpoolFile(folder)
  file.write([ONE_BYTE], 0, error => {
    file.close()
    done(error)
  })
}
