import { BroadcastChannel, isMainThread, type Worker, workerData } from 'node:worker_threads'

// Loaded into every thread before Causeway (`node --import`). A data thread cannot be killed from outside its
// process: this does it from inside, when the test says so, and changes nothing of Causeway.

/**
 * What a test tells it. `kill` ends the thread wherever it is; `block` keeps its event loop busy for ever,
 * and says so before.
 */
export interface ThreadFault {
  readonly thread: number
  readonly fault: 'kill' | 'throw' | 'block'
}

const channel = new BroadcastChannel('causeway-thread-fault')
channel.unref()
if (isMainThread) followParent()
else channel.onmessage = ({ data }) => obey(data as ThreadFault)

function followParent(): void {
  const workers = new Map<string | null, Worker>()
  // Node tells of every worker that is made; a successor has its predecessor's name.
  process.on('worker', worker => workers.set(worker.threadName, worker))
  process.on('message', (told: ThreadFault) => {
    if (told.fault === 'kill') void workers.get(`data-${told.thread}`)?.terminate()
    else channel.postMessage(told)
  })
  channel.onmessage = ({ data }) => process.send?.(data)
  process.channel?.unref()
}

function obey({ thread, fault }: ThreadFault): void {
  if ((workerData as { thread: number }).thread !== thread) return
  if (fault === 'throw') throw new Error('told to throw')
  channel.postMessage({ blocked: thread })
  for (;;) {
    // Until somebody terminates this thread.
  }
}
