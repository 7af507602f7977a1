import { stat } from 'node:fs'

const NAME = 'UV_THREADPOOL_SIZE'
/** libuv's own number: enough for the control thread's look-ups and logs. */
const BASE = 4
/** A compression, and three that wait for the disk. */
const PER_DATA_THREAD = 4
/** An idle one costs a stack that nobody touches; more do not make a disk faster. */
const MOST = 128

/**
 * Threads for what the system has no waking call for: reads of files, spooled bodies, compression, DNS. All
 * data threads share them, and by default there are 4: then two slow look-ups of a name (libuv lets them take
 * half of the pool) and two compressions would let every file wait, in every data thread. No data thread
 * compresses two files at a time (lib/static/coder.ts), so what is added waits and does not compete for the
 * processors.
 */
export function systemThreadCount(dataThreads: number): number {
  return Math.min(MOST, BASE + PER_DATA_THREAD * dataThreads)
}

/**
 * Starts them, unless the operator has said how many there shall be. Only before anything has used them:
 * their number is read once, from the environment. It is taken out again, or apps that we run (server
 * processes of Node) would inherit it.
 */
export function startSystemThreads(env: NodeJS.ProcessEnv, dataThreads: number): void {
  if (env[NAME] !== undefined) return
  env[NAME] = String(systemThreadCount(dataThreads))
  stat('/', () => {})
  delete env[NAME]
}
