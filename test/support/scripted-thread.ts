import { parentPort, workerData } from 'node:worker_threads'
import { SharedState } from '../../lib/base/shared-state.ts'
import type { DataThreadInit, FromDataThread, ToDataThread } from '../../lib/server/shared/messages.ts'

// Sits in a data thread's place and misbehaves on demand: `drain` makes it throw, generation HANG makes it
// hang.

const HANG = 1_000
const { thread, shared } = workerData as DataThreadInit
const state = new SharedState(shared)
setInterval(() => state.beat(thread), 10)

parentPort?.on('message', (message: ToDataThread) => {
  switch (message.type) {
    case 'snapshot':
      while (message.generation === HANG);
      // Holds a slot of endpoint 0, as a thread with one running request does.
      state.acquire(0, thread, 0)
      parentPort?.postMessage({
        type: 'applied',
        serial: message.serial,
        generation: message.generation,
        failures: [],
      } satisfies FromDataThread)
      return
    case 'drain':
      throw new Error('told to throw')
    case 'cut':
      parentPort?.postMessage({ type: 'cut', exchanges: 1, connections: 2 } satisfies FromDataThread)
      return
  }
})
