import { Client, type Dispatcher } from 'undici'
import type { Address } from '../../lib/config/model.ts'
import { reasonOfError } from './failure-reason.ts'
import type { Probe } from './health.ts'
import { judgeStatus, MAX_BODY_BYTES } from './probe-answer.ts'
import type { ProbeTarget } from './probe-target.ts'

/**
 * One GET on a connection of its own, which is closed afterwards: a kept one would park on a sync worker and
 * block it. Redirects are answers like others. Never rejects. The caller aborts `signal` when the time is
 * over.
 */
export async function probeHttp(target: ProbeTarget, signal: AbortSignal): Promise<Probe> {
  const client = clientFor(target)
  let reached = 'no connection'
  client.once('connect', () => {
    reached = 'no answer'
  })
  try {
    const answer = await client.request(requestOf(target, signal))
    reached = 'the answer did not end'
    await readSome(answer.body)
    const { location } = answer.headers
    return judgeStatus(target, answer.statusCode, Array.isArray(location) ? location[0] : location)
  } catch (error) {
    return { ok: false, reason: signal.aborted ? reached : reasonOfError(error, target.address) }
  } finally {
    // Not awaited: it may hang on a connect that nobody answers, until the connect's own timeout.
    client.destroy().catch(() => {})
  }
}

function clientFor({ address, health }: ProbeTarget): Client {
  return new Client(originOf(address), {
    // undici would offer HTTP/2 by default.
    allowH2: false,
    pipelining: 1,
    // The prober's own limit is the one that counts; this one frees the socket behind it.
    connectTimeout: health.timeoutMs,
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(address.kind === 'unix' ? { socketPath: address.path } : {}),
  })
}

function originOf(address: Address): string {
  if (address.kind === 'unix') return 'http://localhost'
  return address.host.includes(':')
    ? `http://[${address.host}]:${address.port}`
    : `http://${address.host}:${address.port}`
}

function requestOf({ health, host }: ProbeTarget, signal: AbortSignal): Dispatcher.RequestOptions {
  const headers: Record<string, string> = { host, 'user-agent': 'causeway-probe', accept: '*/*' }
  for (const [name, value] of Object.entries(health.headers)) headers[name.toLowerCase()] = value
  // `reset` sends Connection: close.
  return { method: 'GET', path: health.path, headers, signal, reset: true }
}

async function readSome(body: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return
  }
}
