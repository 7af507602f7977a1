import { promisify } from 'node:util'
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib'
import type { Coding } from '../http/coding.ts'
import { stampOf, takeInName } from './file-bytes.ts'
import { Gate } from './gate.ts'
import type { FileResource } from './resource.ts'
import { NO_OBSERVER, type StaticObserver } from './static-observer.ts'

/** Smaller files gain nothing, larger ones are better compressed at build time. */
export const MIN_CODED_BYTES = 1024
export const MAX_CODED_BYTES = 4 * 1024 * 1024
/** Files that wait at a time; whoever comes beyond it is asked for again. */
const MAX_WAITING = 64
/** What gains less is sent as it is. */
const WORTH = 0.9

/**
 * About 30 ms a MiB of script, near the best of gzip: the highest levels take a hundred times as long for a
 * tenth less, which belongs in a build (`.br` beside the file).
 */
const BROTLI_QUALITY = 5

const COMPRESS: Readonly<Record<Coding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: bytes =>
    promisify<Buffer, object, Buffer>(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  zstd: bytes => promisify<Buffer, Buffer>(zstdCompress)(bytes),
  gzip: bytes => promisify<Buffer, Buffer>(gzip)(bytes),
}

/** Is told of what became of a file; `body` is undefined where the coding gains too little. */
export type CodedTaker = (resource: FileResource, coding: Coding, body: Buffer | undefined) => void

/** Compresses files of one data thread, one at a time, in the thread pool: requests do not wait for it. */
export class Coder {
  readonly #observer: Pick<StaticObserver, 'compressed'>
  readonly #gate = new Gate(1)
  readonly #pending = new Set<string>()

  constructor(observer: Pick<StaticObserver, 'compressed'> = NO_OBSERVER) {
    this.#observer = observer
  }

  /**
   * `taker` is called once, later; not at all if the file is no longer what `resource` says, or too many
   * wait.
   */
  want(root: string, resource: FileResource, coding: Coding, taker: CodedTaker): void {
    const job = `${coding} ${resource.identity}`
    if (this.#pending.has(job) || this.#pending.size >= MAX_WAITING) return
    this.#pending.add(job)
    void this.#work(job, root, resource, coding, taker)
  }

  async #work(
    job: string,
    root: string,
    resource: FileResource,
    coding: Coding,
    taker: CodedTaker,
  ): Promise<void> {
    await this.#gate.enter()
    try {
      const bytes = await bytesOf(root, resource)
      if (bytes === undefined) return
      const coded = await COMPRESS[coding](bytes)
      const worth = coded.length <= bytes.length * WORTH
      this.#observer.compressed(coding, worth ? 'made' : 'useless')
      taker(resource, coding, worth ? coded : undefined)
    } catch {
      // No descriptor or no memory for it now: the next request asks again.
      this.#observer.compressed(coding, 'failed')
    } finally {
      this.#gate.leave()
      this.#pending.delete(job)
    }
  }
}

/** The bytes that `resource` stands for; undefined if the file has changed since. */
async function bytesOf(
  root: string,
  { plain, relative, identity }: FileResource,
): Promise<Buffer | undefined> {
  if (plain.body !== undefined) return plain.body
  const loaded = await takeInName(root, relative, MAX_CODED_BYTES)
  return loaded !== undefined && stampOf(loaded.stat) === identity ? loaded.body : undefined
}
