import type { ResponseHead } from '../../lib/http/message.ts'

/**
 * Is it certain where the answer's body ends? Not after HEAD, 204 and 304: uWSGI, gunicorn and apps under
 * them send a body all the same, often a moment later, and it would be read as the next answer. Unless they
 * say themselves that it is empty.
 */
export function isBodyCertain(head: ResponseHead): boolean {
  return head.framing !== 'none' || head.declaredLength === 0
}
