import type { Address, Snapshot } from '../config/model.ts'

/** What a process is started with. */
export interface ControlOptions {
  /** Configuration file or folder, read again at each reload. */
  readonly path: string
  readonly env: NodeJS.ProcessEnv
  /** Where the data threads may keep compiled code; undefined for nowhere. */
  readonly compileCache: string | undefined
  /** For tests: how long a data thread may be silent. */
  readonly stuckMs?: number
}

/** Where a started process is found. */
export interface Started {
  readonly listeners: Readonly<Record<string, string>>
  readonly admin: string
  readonly adminAddress: Address
  /** With real ports and managed workers. */
  readonly snapshot: Snapshot
}

/** The process could not start. The message says why. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed'
}
