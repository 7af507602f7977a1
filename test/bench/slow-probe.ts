import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** What a normal client saw. */
export interface ProbeResult {
  /** Of each page, in their order. A failure counts with the time it took. */
  readonly timesMs: readonly number[]
  readonly failed: number
}

const EVERY_MS = 20
/** A page that takes longer has failed, even for whoever waits for it. */
const PATIENCE_MS = 30_000

/** One page after the other, each on a new connection, for so long. */
export async function probe(
  port: number,
  forMs: number,
  alive: () => boolean = () => true,
): Promise<ProbeResult> {
  const timesMs: number[] = []
  let failed = 0
  const end = performance.now() + forMs
  while (performance.now() < end && alive()) {
    const startMs = performance.now()
    if ((await statusOf(port)) !== 200) failed += 1
    timesMs.push(performance.now() - startMs)
    await delay(EVERY_MS)
  }
  return { timesMs, failed }
}

export function pooled(results: readonly ProbeResult[]): ProbeResult {
  return {
    timesMs: results.flatMap(({ timesMs }) => timesMs),
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
  }
}

export function probeText({ timesMs, failed }: ProbeResult): string {
  const sorted = timesMs.toSorted((a, b) => a - b)
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
  return `p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  longest ${at(1)} ms  failed ${failed} of ${sorted.length}`
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
