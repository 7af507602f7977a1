import { BroadcastChannel, isMainThread, workerData } from 'node:worker_threads'

// Loaded into every thread before Causeway (`node --import`). Keeps the event loop of the data threads busy,
// as too much work would, when the test says so, and changes nothing of Causeway.

/** What a test tells it: how long every turn of the loop is to take; 0: as long as it takes. */
export interface LoopLoad {
  readonly turnMs: number
}

const channel = new BroadcastChannel('causeway-loop-load')
channel.unref()
let turnMs = 0
if (isMainThread) {
  process.on('message', (told: LoopLoad) => channel.postMessage(told))
  process.channel?.unref()
} else if ((workerData as { thread?: number } | null)?.thread !== undefined) {
  channel.onmessage = ({ data }) => load(data as LoopLoad)
}

function load(told: LoopLoad): void {
  const idle = turnMs === 0
  turnMs = told.turnMs
  if (idle && turnMs > 0) turn()
}

function turn(): void {
  const end = performance.now() + turnMs
  while (performance.now() < end) {
    // Busy.
  }
  if (turnMs > 0) setImmediate(turn)
}
