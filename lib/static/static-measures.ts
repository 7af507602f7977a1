import { defineBlock } from '../base/cells.ts'
import type { Coding } from '../http/coding.ts'

/** Codings that files are compressed with; the order is the order of their cells. */
export const MADE_CODINGS = ['br', 'zstd', 'gzip'] as const satisfies readonly Coding[]

/**
 * made: served from now on. useless: gains too little, the file is sent as it is. failed: no descriptor or no
 * memory for it.
 */
export const COMPRESSION_RESULTS = ['made', 'useless', 'failed'] as const
export type CompressionResult = (typeof COMPRESSION_RESULTS)[number]

/** Where a manifest's names come from: the newest one, or only one before it. */
export const NAME_STATES = ['current', 'leaving'] as const

/** Cells of a data thread's static part. Written by lib/server/data/static-meter.ts. */
export const STATIC_BLOCK = defineBlock({
  /**
   * Gauges: bytes of files kept because they were asked for; bytes and number of files held for after a
   * deploy.
   */
  cacheBytes: 1,
  heldBytes: 1,
  heldFiles: 1,
  /** Gauges, in the order of NAME_STATES. Of one thread: all threads read the same manifests. */
  names: NAME_STATES.length,
  manifestErrors: 1,
  /** MADE_CODINGS by COMPRESSION_RESULTS. */
  compressions: MADE_CODINGS.length * COMPRESSION_RESULTS.length,
  heldServed: 1,
})

/** What static roots hold in one thread. */
export interface StaticLoad {
  readonly cacheBytes: number
  readonly heldBytes: number
  readonly heldFiles: number
  readonly names: number
  readonly leaving: number
}
