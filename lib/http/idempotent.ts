/** RFC 9110 9.2.2, of the registered methods those that apps really serve. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** May a request with this method be made twice? Hot. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}
