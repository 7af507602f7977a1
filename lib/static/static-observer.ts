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

/** What static roots tell the outside, at a change and not at each request. */
export interface StaticObserver {
  /** A manifest cannot be read; the last good one goes on. */
  manifestBroken(file: string, reason: string): void
  /** Names have come or gone, and what of them could be held is held. */
  releaseTaken(root: string, facts: ReleaseFacts): void
}

export const NO_OBSERVER: StaticObserver = { manifestBroken: () => {}, releaseTaken: () => {} }
