import { stat } from 'node:fs/promises'
import { whyUnreadable } from '../../lib/base/errno-words.ts'
import { takeSmallFile } from '../../lib/base/small-file.ts'
import type { Deadline, Timers } from '../../lib/base/timers.ts'
import {
  type EndpointList,
  type EndpointsReading,
  MAX_FILE_BYTES,
  parseEndpointsFile,
} from '../../lib/config/endpoints-file.ts'

/** What a watch tells: a change once, a trouble once. */
export interface FileObserver {
  changed(path: string): void
  /** Undefined: the file is fine again. */
  troubled(path: string, problem: string | undefined): void
}

/** How often the file is looked at. By stat(2), so that a symbolic link that leads elsewhere is seen, too. */
const LOOK_MS = 1000
/**
 * A changed file is taken once it has kept still for so long: whoever writes it may be in the middle of it.
 */
const STILL_MS = 200

const EMPTY: EndpointList = { endpoints: [], names: [] }

/** Follows a file of endpoints. What was read well stays in force until the file is well again. */
export class FileWatch implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  /** Resolves once the file has been looked at for the first time. */
  readonly first: Promise<void>
  readonly #path: string
  readonly #timers: Timers
  readonly #observer: FileObserver
  #list: EndpointList = EMPTY
  #problem: string | undefined = undefined
  /** What stat(2) said when the file was last taken, and when it was last looked at. */
  #taken = ''
  #seen = ''
  #stopped = false

  constructor(path: string, timers: Timers, observer: FileObserver) {
    this.#path = path
    this.#timers = timers
    this.#observer = observer
    this.first = this.#begin()
  }

  /** Empty as long as there was nothing to take. */
  get list(): EndpointList {
    return this.#list
  }

  get problem(): string | undefined {
    return this.#problem
  }

  stop(): void {
    this.#stopped = true
    this.#timers.disarm(this)
  }

  expired(): void {
    this.#look().catch((error: unknown) => {
      this.#timers.report(error)
      this.#rest(LOOK_MS)
    })
  }

  /** Nothing is in force yet that a half-written file could spoil. */
  async #begin(): Promise<void> {
    this.#seen = (await this.#stamp()) ?? ''
    await this.#take()
    this.#rest(LOOK_MS)
  }

  async #look(): Promise<void> {
    const stamp = await this.#stamp()
    if (stamp === undefined || stamp === this.#taken) return this.#rest(LOOK_MS)
    const still = stamp === this.#seen
    this.#seen = stamp
    if (still) await this.#take()
    this.#rest(still ? LOOK_MS : STILL_MS)
  }

  #rest(delayMs: number): void {
    if (!this.#stopped) this.#timers.arm(this, delayMs)
  }

  /** Tells one state of the file from another; undefined if there is none. */
  async #stamp(): Promise<string | undefined> {
    try {
      const found = await stat(this.#path)
      const { dev, ino, size, mtimeMs, ctimeMs } = found
      // Others may have no end, or hold whoever opens them.
      if (!found.isFile() && !found.isDirectory()) {
        this.#trouble('this is not a file')
        return undefined
      }
      if (size > MAX_FILE_BYTES) {
        this.#trouble(`${this.#path}:${TOO_LARGE.line}: ${TOO_LARGE.fault}`)
        return undefined
      }
      return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`
    } catch (error) {
      this.#taken = '' // read again when it is back, so that the trouble ends
      this.#trouble(cannotRead(error))
      return undefined
    }
  }

  async #take(): Promise<void> {
    const stamp = this.#seen
    if (stamp === '') return
    const read = await takeSmallFile(this.#path, MAX_FILE_BYTES)
    if ('code' in read && read.code !== 'TOO_LARGE') return this.#trouble(cannotRead(read))
    this.#taken = stamp
    this.#read('bytes' in read ? parseEndpointsFile(read.bytes.toString()) : TOO_LARGE)
  }

  #read(reading: EndpointsReading): void {
    if ('fault' in reading) return this.#trouble(`${this.#path}:${reading.line}: ${reading.fault}`)
    this.#trouble(undefined)
    if (this.#stopped || JSON.stringify(reading.value) === JSON.stringify(this.#list)) return
    this.#list = reading.value
    this.#observer.changed(this.#path)
  }

  #trouble(problem: string | undefined): void {
    if (this.#stopped || problem === this.#problem) return
    this.#problem = problem
    this.#observer.troubled(this.#path, problem)
  }
}

const TOO_LARGE = { line: 1, fault: `the file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB` } as const

function cannotRead(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EACCES':
      return 'this user has no permission to read the file'
    case 'EISDIR':
      return 'this is a folder'
    case 'NOT_A_FILE':
      return 'this is not a file'
    default:
      return `cannot be read: ${whyUnreadable(error)}`
  }
}
