import type { Test } from 'tap'
import type { Running } from '../support/causeway.ts'
import type { ServerKind } from './servers.ts'
import type { AppServer } from './support.ts'

/** One server behind one Causeway. */
export interface Stage {
  readonly kind: ServerKind
  readonly app: AppServer
  readonly causeway: Running
  readonly web: number
  readonly trusting: number
  readonly folder: string
}

export type Scene = (t: Test, stage: Stage) => Promise<void>
