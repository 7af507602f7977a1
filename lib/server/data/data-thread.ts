import { parentPort, workerData } from 'node:worker_threads'
import { CellColumn } from '../../base/cells.ts'
import { systemClock } from '../../base/clock.ts'
import { Descriptors } from '../../base/descriptors.ts'
import { LineRingWriter } from '../../base/line-ring.ts'
import { Periodic } from '../../base/periodic.ts'
import { SharedState } from '../../base/shared-state.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import { Timers } from '../../base/timers.ts'
import type { ReleaseFacts } from '../../static/static-observer.ts'
import type { DataThreadInit, FromDataThread, SnapshotMessage, ToDataThread } from '../shared/messages.ts'
import { ThreadMemory } from '../shared/thread-memory.ts'
import { Heartbeat } from './heartbeat.ts'
import { Runtime } from './runtime.ts'

// Entry of a data thread. It keeps what the control thread needs (configuration, registries, the log) out of
// its own heap.

/** How often a draining thread looks whether it is empty. */
const DRAIN_LOOK_MS = 50

const { thread, cells, shared, lines, descriptors } = workerData as DataThreadInit
const timers = new Timers(systemClock, deadlineFailed)
const sharedState = new SharedState(shared)
const env: ThreadEnv = {
  clock: systemClock,
  timers,
  cells: new CellColumn(cells, thread),
  shared: sharedState,
  descriptors: new Descriptors(sharedState, thread, descriptors),
  thread,
  random: Math.random,
}
const access = new LineRingWriter(lines)
const observer = {
  endpointEjected(upstream: string, endpoint: string, reason: string): void {
    post({ type: 'ejected', upstream, endpoint, reason })
  },
  endpointUnreachable(upstream: string, endpoint: string, reason: string): void {
    post({ type: 'unreachable', upstream, endpoint, reason })
  },
  endpointSuspect(upstream: string, endpoint: string): void {
    post({ type: 'suspect', upstream, endpoint })
  },
  endpointStalls(upstream: string, endpoint: string, forMs: number): void {
    post({ type: 'stalls', upstream, endpoint, forMs })
  },
  manifestBroken(file: string, problem: string): void {
    post({ type: 'noted', level: 'warn', event: 'static manifest not taken', fields: { file, problem } })
  },
  releaseTaken(root: string, { names, leaving, heldFiles, heldBytes, notHeld }: ReleaseFacts): void {
    const fields = { root, names, leaving, held_files: heldFiles, held_bytes: heldBytes, not_held: notHeld }
    post({ type: 'noted', level: 'info', event: 'static manifest taken', fields })
  },
}
const runtime = new Runtime(env, observer, line => access.write(line))
const memory = new ThreadMemory(env)
const heartbeat = new Heartbeat(
  env,
  loopDelayMs => post({ type: 'pulse', loopDelayMs }),
  delayMs => {
    runtime.ticked(delayMs)
    memory.ticked(runtime.bodiesWait)
  },
)
const drainLooks = new Periodic(timers, DRAIN_LOOK_MS, lookDrained)
/** Configurations are taken one after the other. */
let applying: Promise<void> = Promise.resolve()

process.on('uncaughtException', (error, kind) => {
  post({ type: 'fault', kind, ...textOf(error) })
  // Nobody knows what state this thread is in: its successor starts clean.
  process.exit(1)
})
parentPort?.on('message', take)
timers.start()
heartbeat.start()

function take(message: ToDataThread): void {
  switch (message.type) {
    case 'snapshot':
      applying = applying.then(() => apply(message))
      return
    case 'drain':
      drainLooks.start()
      runtime.drain()
      lookDrained()
      return
    case 'cut':
      post({ type: 'cut', ...runtime.cut() })
      return
  }
}

async function apply(message: SnapshotMessage): Promise<void> {
  const failures = await runtime.apply(message)
  const { serial, generation } = message
  post({ type: 'applied', serial, generation, failures })
}

function lookDrained(): void {
  if (runtime.inflight > 0) return
  drainLooks.stop()
  post({ type: 'drained' })
}

/**
 * One connection or look is affected, whose deadline it was: no reason to cut all the others by ending the
 * thread.
 */
function deadlineFailed(error: unknown): void {
  post({ type: 'fault', kind: 'deadline', ...textOf(error) })
}

function textOf(error: unknown): { message: string; stack: string } {
  if (!(error instanceof Error)) return { message: String(error), stack: '' }
  return { message: error.message, stack: error.stack ?? '' }
}

function post(message: FromDataThread): void {
  parentPort?.postMessage(message)
}
