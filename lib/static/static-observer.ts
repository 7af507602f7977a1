import type { Coding } from '../http/coding.ts'
import type { CompressionResult } from './static-measures.ts'

/** What became of the files that a root's manifests name. */
export interface ReleaseFacts {
  /** Names with a content hash in the newest manifests, and those that only earlier ones have. */
  readonly names: number
  readonly leaving: number
  /** Files and bytes in memory for when a deploy has removed them. */
  readonly heldFiles: number
  readonly heldBytes: number
  /** Files beyond the memory for that. */
  readonly notHeld: number
}

/** What somebody should read of static roots: told at a change, not at each request. */
export interface StaticNews {
  /** A manifest cannot be read; the last good one goes on. */
  manifestBroken(file: string, reason: string): void
  /** Names have come or gone, and what of them could be held is held. */
  releaseTaken(root: string, facts: ReleaseFacts): void
}

/** All that static roots tell the outside. */
export interface StaticObserver extends StaticNews {
  /** A file was compressed, or could not be. */
  compressed(coding: Coding, result: CompressionResult): void
  /** An answer was a file that a deploy has removed. Hot. */
  heldServed(): void
}

export const NO_OBSERVER: StaticObserver = {
  manifestBroken: () => {},
  releaseTaken: () => {},
  compressed: () => {},
  heldServed: () => {},
}
