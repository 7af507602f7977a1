import { FIELD } from './field-ids.ts'
import type { FieldList } from './field-list.ts'

/**
 * True for a client that reads trailers (RFC 9110 10.1.4): whom it was not told might be given a field that
 * it takes for part of the body, or drops.
 */
export function acceptsTrailers(request: FieldList): boolean {
  const codings = request.rawJoined(FIELD.te)
  return codings !== undefined && /(?:^|,)[ \t]*trailers[ \t]*(?:$|[;,])/i.test(codings)
}

/** True for answers whose meaning stands behind their body: the status of a gRPC call. */
export function endsInTrailers(answer: FieldList): boolean {
  return answer.first(FIELD['content-type'])?.startsWith('application/grpc') === true
}
