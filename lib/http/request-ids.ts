import { randomBytes } from 'node:crypto'
import type { ClientFacts } from './client-facts.ts'
import { FIELD } from './field-ids.ts'
import type { FieldList } from './field-list.ts'

const ACCEPTED = /^[\w.:-]{8,128}$/

/**
 * Names for requests, unique over threads and restarts: a random prefix for each thread, then a counter. For
 * finding, not for secrets.
 */
export class RequestIds {
  readonly #prefix = randomBytes(6).toString('hex')
  #count = 0

  next(): string {
    this.#count += 1
    return `${this.#prefix}-${this.#count.toString(36)}`
  }

  /** The id that a trusted proxy in front has already given, else a new one. */
  of(client: ClientFacts, fields: FieldList): string {
    if (!client.trusted) return this.next()
    const given = fields.first(FIELD['x-request-id'])
    return given !== undefined && ACCEPTED.test(given) ? given : this.next()
  }
}
