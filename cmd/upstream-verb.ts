import { parseDuration } from '../lib/base/units.ts'
import type { EndpointRow, UpstreamStatus } from '../lib/server/admin/status.ts'
import { type AdminAnswer, askAdmin, unexpectedAnswer } from './admin-client.ts'
import { EXIT } from './exit.ts'

const TIMEOUT_MS = 10_000
const BAD_REQUEST = 400
const NOT_FOUND = 404

/** The page that does something to an upstream; `query` values are escaped here. */
export function verbPage(
  upstream: string,
  verb: string,
  query: readonly (readonly [string, string])[],
): string {
  const pairs = query.map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  const path = `/upstreams/${encodeURIComponent(upstream)}/${verb}`
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

/**
 * Says on stderr why the process refused; the exit code. What it cannot read is bad usage, and so is a name
 * that it does not know.
 */
export function refused(answer: AdminAnswer): number {
  process.stderr.write(unexpectedAnswer(answer))
  const known = knownOf(answer.body)
  if (known !== undefined) process.stderr.write(`known: ${known.length === 0 ? 'none' : known.join(', ')}\n`)
  const misused = answer.status === BAD_REQUEST || (answer.status === NOT_FOUND && known !== undefined)
  return misused ? EXIT.usage : EXIT.failed
}

/** The endpoints of an upstream as they are now; none if it has gone. */
export async function endpointsOf(config: string, upstream: string): Promise<readonly EndpointRow[]> {
  const { status, body } = await askAdmin(config, 'GET', '/upstreams', TIMEOUT_MS)
  if (status !== 200) return []
  const { upstreams } = JSON.parse(body) as { readonly upstreams: readonly UpstreamStatus[] }
  return upstreams.find(({ name }) => name === upstream)?.endpoints ?? []
}

/** A duration of the command line. NaN: it is none, and stderr says so. Undefined if there was none. */
export function readTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const timeoutMs = parseDuration(text)
  if (timeoutMs !== undefined && timeoutMs > 0) return timeoutMs
  process.stderr.write(`causeway: --timeout requires a duration such as 30s, got ${JSON.stringify(text)}\n`)
  return Number.NaN
}

function knownOf(body: string): readonly string[] | undefined {
  try {
    const { known } = JSON.parse(body) as { readonly known?: readonly string[] }
    return known
  } catch {
    return undefined
  }
}
