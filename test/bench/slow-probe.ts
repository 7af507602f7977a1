import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** What a normal client saw. */
export interface ProbeResult {
  readonly requests: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const EVERY_MS = 20
/** A page that takes longer has failed, even for whoever waits for it. */
const PATIENCE_MS = 30_000

/** One page after the other, each on a new connection, for so long. A failure counts with the time it took. */
export async function probe(
  port: number,
  forMs: number,
  alive: () => boolean = () => true,
): Promise<ProbeResult> {
  const times: number[] = []
  let failed = 0
  const end = performance.now() + forMs
  while (performance.now() < end && alive()) {
    const startMs = performance.now()
    if ((await statusOf(port)) !== 200) failed += 1
    times.push(performance.now() - startMs)
    await delay(EVERY_MS)
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return { requests: times.length, failed, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** 0: no answer in time. */
export function statusOf(port: number): Promise<number> {
  return new Promise(done => {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const asking = request({ port, host: '127.0.0.1', path: '/', agent: false, signal }, answer => {
      answer.resume()
      answer.once('close', () => done(answer.complete ? (answer.statusCode ?? 0) : 0))
    })
    asking.once('error', () => done(0))
    asking.end()
  })
}
