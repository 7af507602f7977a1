import { isIP } from 'node:net'
import type { Exchange } from '../http/exchange.ts'
import type { Gate } from '../http/handler.ts'

/**
 * What a client has proved by its certificate was asked for in one host's name: requests for another host are
 * 421 (RFC 9110 15.5.20).
 */
export class Misdirected implements Gate {
  admits(exchange: Exchange): boolean {
    const { tls } = exchange.client
    if (tls?.bound !== true || !isForAnother(tls.serverName, exchange.request.hostname)) return true
    exchange.fail('MISDIRECTED', `the handshake was for ${tls.serverName ?? 'no host'}`)
    return false
  }
}

/** An address cannot be asked for in a handshake (RFC 6066 3), so it stands for no name. */
function isForAnother(serverName: string | undefined, hostname: string): boolean {
  if (serverName === undefined && isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return false
  return serverName !== hostname
}
