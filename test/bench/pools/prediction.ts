import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { ENDPOINTS, type EndpointShape } from './shape.ts'

/** Long enough that chance does not show. */
const SECONDS = 300
/**
 * Between the proxy and a worker of the bench's app, timers included: on a quiet machine 10 ms of work are
 * answered after 12, at the median.
 */
const ROUND_TRIP = '2ms'

/**
 * p99 that `causeway simulate` foretells for this pool, in milliseconds. The load is that of the bench: by
 * chance, in an open loop.
 */
export async function predictedP99Ms(
  folder: string,
  perSecond: number,
  policy: string,
  cap = 0,
): Promise<number> {
  const description = join(folder, 'pool.toml')
  await writeFile(description, descriptionOf(perSecond))
  const command = [resolve('cmd/causeway.ts'), 'simulate', '--json', '--load', description]
  const wishes = ['--policy', policy, '--max-inflight', String(cap)]
  const { stdout } = await promisify(execFile)(process.execPath, [...command, ...wishes])
  const { rows } = JSON.parse(stdout) as { readonly rows: readonly { readonly p99_ms: number }[] }
  return rows[0]?.p99_ms ?? Number.NaN
}

function descriptionOf(perSecond: number): string {
  const load = `[load]\nrate = ${Math.round(perSecond)}\nduration = "${SECONDS}s"\n`
  return `round_trip = "${ROUND_TRIP}"\n${load}${ENDPOINTS.map(endpointText).join('')}`
}

function endpointText({ workers, workMs }: EndpointShape, index: number): string {
  return `[[endpoints]]\nname = "app-${index + 1}"\nworkers = ${workers}\nservice = "${workMs}ms"\n`
}
