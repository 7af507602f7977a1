import { tlsReasonOf } from './tls-error.ts'

/** What a socket's error means, in words for the log. */
export function reasonOf(error: Error): string {
  const handshake = tlsReasonOf(error)
  if (handshake !== undefined) return handshake
  switch ('code' in error ? error.code : undefined) {
    case 'ECONNREFUSED':
      return 'connection refused'
    case 'ECONNRESET':
    case 'EPIPE':
      return 'reset the connection'
    case 'ENOENT':
      return 'no such socket'
    case 'EACCES':
      return 'no permission for the socket'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'name not found'
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'host unreachable'
    default:
      return error.message
  }
}
