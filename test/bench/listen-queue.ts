import { readFileSync } from 'node:fs'

const EVERY_MS = 50
/** TCP_LISTEN in the state column. */
const LISTENING = '0A'

/** How many connections waited in a kernel's queue for the app to accept them. */
export interface QueueSeen {
  readonly samples: number
  readonly max: number
  readonly mean: number
  /** Samples in which anybody waited, 0 to 1. */
  readonly busyShare: number
}

/** Connections that wait to be accepted on a port of 127.0.0.1: what `ss -ltn` shows as Recv-Q. */
export function listenQueue(port: number): number {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n')) {
    const [, local, , state, queues = ''] = line.trim().split(/\s+/)
    if (local === address && state === LISTENING) return Number.parseInt(queues.split(':')[1] ?? '0', 16)
  }
  throw new Error(`nobody listens on 127.0.0.1:${port}`)
}

/** Looks 20 times a second for so long; the returned function says what there was to see. */
export function watchListenQueue(port: number, forMs: number): () => QueueSeen {
  const seen: number[] = []
  const untilMs = performance.now() + forMs
  const timer = setInterval(() => {
    if (performance.now() < untilMs) seen.push(listenQueue(port))
  }, EVERY_MS)
  return () => {
    clearInterval(timer)
    const samples = Math.max(1, seen.length)
    return {
      samples: seen.length,
      max: Math.max(0, ...seen),
      mean: seen.reduce((sum, length) => sum + length, 0) / samples,
      busyShare: seen.filter(length => length > 0).length / samples,
    }
  }
}
