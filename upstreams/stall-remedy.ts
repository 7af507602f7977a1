import { isHttp2, isSecure } from '../lib/config/endpoint-fit.ts'
import type { EndpointConfig } from '../lib/config/model.ts'

/**
 * What mends it in the app; without that, a route to it with `quickack 1` has the kernel acknowledge at once.
 */
export const STALL_REMEDY =
  'the app server writes head and body separately without TCP_NODELAY: for uvicorn, install uvloop, or run one process per endpoint instead of --workers; otherwise use a unix socket or a newer server (or, on this machine, "ip route" with quickack 1)'

/**
 * What answers that wait for a delayed acknowledgement mean for an endpoint, and what mends it: fields of a
 * log line.
 */
export function stallRemedy(endpoint: Pick<EndpointConfig, 'protocol'>): { reason: string; remedy: string } {
  return {
    reason: `responses on reused connections are 40 ms late; ${doneOf(endpoint)}`,
    remedy: STALL_REMEDY,
  }
}

/** The same in one sentence, for the status. */
export function stallNote(endpoint: Pick<EndpointConfig, 'protocol'>): string {
  const { reason, remedy } = stallRemedy(endpoint)
  return `${reason}; ${remedy}`
}

function doneOf({ protocol }: Pick<EndpointConfig, 'protocol'>): string {
  if (isHttp2(protocol)) return 'each part of a response is now acknowledged immediately'
  return isSecure(protocol)
    ? 'connections are reused anyway, since a TLS handshake takes as long'
    : 'each request now uses a new connection'
}
