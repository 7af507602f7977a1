import { FIELD } from './field-ids.ts'
import type { FieldList } from './field-list.ts'
import type { RequestHead } from './message.ts'
import { acceptsTrailers } from './trailers.ts'

/**
 * Is a request a conversation, in which both sides speak in turn and may be silent, rather than an upload,
 * which its client owes? It is if nobody knows the length of its body, and either its answer has begun while
 * the body still flows, or it is a gRPC call (HTTP/2, `te: trailers`), of which the app may want the first
 * message before it says anything.
 */
export function isConversation(
  { protocol, framing, fields }: Pick<RequestHead, 'protocol' | 'framing' | 'fields'>,
  answered: boolean,
): boolean {
  if (framing !== 'chunked') return false
  return answered || (protocol === 'HTTP/2.0' && isGrpc(fields) && acceptsTrailers(fields))
}

/**
 * Says the request that its body is of gRPC messages? Not grpc-web, of which browsers send the whole request
 * first.
 */
export function isGrpc(request: FieldList): boolean {
  const type = request.first(FIELD['content-type'])
  return type !== undefined && /^application\/grpc(?:$|[+;\s])/i.test(type)
}
