import { defineBlock } from '../base/cells.ts'

/** What is spooled. */
export const SPOOLED = ['request', 'response'] as const
export type Spooled = (typeof SPOOLED)[number]

/**
 * memory, file: passed on whole, and where it had to wait. full: no room or a failing disk; a request is
 * refused, an answer waits for its client. abandoned: its client left.
 */
export const SPOOL_OUTCOMES = ['memory', 'file', 'full', 'abandoned'] as const
export type SpoolOutcome = (typeof SPOOL_OUTCOMES)[number]

/** Cells of a data thread's spool. Written by lib/proxy/spool.ts. */
export const SPOOL_BLOCK = defineBlock({
  /** Gauge: bytes of memory that bodies have. */
  memory: 1,
  /** Gauge: bytes of memory that is there for them, which is what is bounded. */
  arena: 1,
  /** Gauge: bytes in files. */
  disk: 1,
  /** Gauge: bytes of room in files that bodies were promised and have not used yet. */
  promised: 1,
  /** Gauge: files open. */
  files: 1,
  /** SPOOLED by SPOOL_OUTCOMES. */
  bodies: SPOOLED.length * SPOOL_OUTCOMES.length,
})
