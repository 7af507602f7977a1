import type { CellMemory } from '../../base/cells.ts'
import type { DescriptorLimits } from '../../base/descriptors.ts'
import type { LineRingMemory } from '../../base/line-ring.ts'
import type { SharedStateMemory } from '../../base/shared-state.ts'
import type { Snapshot } from '../../config/model.ts'
import type { TlsState } from '../../front/tls/tls-state.ts'
import type { Placement } from './placement.ts'

/** What a data thread is born with. */
export interface DataThreadInit {
  readonly thread: number
  readonly cells: CellMemory
  readonly shared: SharedStateMemory
  /** What the whole process may have open for its traffic. */
  readonly descriptors: DescriptorLimits
  /** For its access lines. */
  readonly lines: LineRingMemory
}

/** A configuration to run. Answered by `applied`. */
export interface SnapshotMessage {
  readonly type: 'snapshot'
  /** Counts what was handed out, from 1: configurations, and changes of their endpoints. */
  readonly serial: number
  /** Counts the configurations of this process, from 1. */
  readonly generation: number
  readonly snapshot: Snapshot
  readonly placement: Placement
  readonly tls: TlsState
}

/** Control thread to data thread. */
export type ToDataThread =
  | SnapshotMessage
  /** Accept no more, finish what runs. Answered by `drained` once nothing runs. */
  | { readonly type: 'drain' }
  /** Cut what is left. Answered by `cut`. */
  | { readonly type: 'cut' }

/** A listener that a data thread could not bind. */
export interface ListenFailure {
  readonly listener: string
  readonly address: string
  readonly message: string
}

/**
 * A mistake of ours. The thread gives itself up, unless it was a deadline's: that concerns whoever it
 * belonged to.
 */
export interface ThreadFault {
  readonly kind: 'uncaughtException' | 'unhandledRejection' | 'deadline'
  readonly message: string
  readonly stack: string
}

/** What a data thread left unfinished when it was cut. */
export interface CutCounts {
  readonly exchanges: number
  readonly connections: number
}

/** Data thread to control thread. */
export type FromDataThread =
  | {
      readonly type: 'applied'
      readonly serial: number
      readonly generation: number
      readonly failures: readonly ListenFailure[]
    }
  | { readonly type: 'drained' }
  | ({ readonly type: 'cut' } & CutCounts)
  | {
      readonly type: 'ejected'
      readonly upstream: string
      readonly endpoint: string
      readonly reason: string
    }
  /**
   * Connects to the endpoint fail: it is marked, and gets no traffic until somebody says that they do not.
   */
  | {
      readonly type: 'unreachable'
      readonly upstream: string
      readonly endpoint: string
      readonly reason: string
    }
  /** Something failed there: worth a probe now. */
  | { readonly type: 'suspect'; readonly upstream: string; readonly endpoint: string }
  /** Answers on used connections come late there, for want of TCP_NODELAY. Believed for so long. */
  | { readonly type: 'stalls'; readonly upstream: string; readonly endpoint: string; readonly forMs: number }
  /** For the log, in flat fields. */
  | {
      readonly type: 'noted'
      readonly level: 'info' | 'warn'
      readonly event: string
      readonly fields: Readonly<Record<string, string | number>>
    }
  | { readonly type: 'pulse'; readonly loopDelayMs: number }
  | ({ readonly type: 'fault' } & ThreadFault)
