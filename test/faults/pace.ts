/** What every scene is played under, where the machine lets the apps do it. */
const MOST_PER_SECOND = 200
/** Part of what an app can do that it is asked for: one that has been away must be able to catch up. */
const SHARE = 2 / 3
const MEASURED_MS = 1500
/** More than any app has workers, and fewer than a queue takes. */
const CLIENTS = 16

/**
 * Requests a second for a scene: 200, or on a machine that is busy elsewhere two thirds of what the apps can
 * do through this port. An app that cannot do what comes loses requests in any order of events, and would
 * prove nothing.
 */
export async function paceFor(port: number): Promise<number> {
  const endMs = performance.now() + MEASURED_MS
  let done = 0
  const client = async () => {
    while (performance.now() < endMs) {
      const answer = await fetch(`http://127.0.0.1:${port}/measured/${done}`)
      await answer.arrayBuffer()
      if (answer.status === 200) done += 1
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return Math.max(1, Math.min(MOST_PER_SECOND, Math.floor((done * SHARE * 1000) / MEASURED_MS)))
}
