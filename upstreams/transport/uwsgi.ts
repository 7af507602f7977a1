import type { ByteStream } from '../../lib/base/byte-stream.ts'
import type { ErrorCode } from '../../lib/base/errors.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import {
  PACKET_HEADER_BYTES,
  type PacketRefusal,
  USUAL_BUFFER_BYTES,
  USUAL_VARIABLES,
  variablesIn,
} from '../../lib/wire/uwsgi-packet.ts'
import type { AttemptOwner, Job, PooledEndpoint, PooledPlace } from '../job.ts'
import { AppConnection } from './app-connection.ts'
import type { RequestForm, Unanswered } from './request-form.ts'

/**
 * Makes the attempt as a uwsgi packet on a new connection: uWSGI takes one request on each, and a silent one
 * holds a worker. What cannot be said in a packet is told to `owner` before anything is connected.
 */
export function attemptUwsgi(place: PooledPlace, owner: AttemptOwner, env: ThreadEnv, job: Job): void {
  if (job.bodyFraming === 'chunked') {
    const detail = 'a uwsgi endpoint requires the length of the body: set body = "spool" for its upstream'
    return refuse(place, owner, job, 'LENGTH_REQUIRED', detail)
  }
  const packet = job.uwsgiPacket()
  if (typeof packet === 'string')
    new AppConnection(place, owner, env, job, new UwsgiForm(packet, place.endpoint))
  else refuse(place, owner, job, 'UPSTREAM_HEAD_TOO_LARGE', refusalText(packet))
}

/**
 * One request, and the only one of its connection. Its answer is read by the rules of HTTP/1.1 without
 * exception, so one that says `Transfer-Encoding: chunked` must be in chunks: gunicorn sends such over this
 * protocol, and an app under uWSGI that names the coding without using it gets 502 (nginx hands either on as
 * it is, and browsers then show the chunk sizes).
 */
class UwsgiForm implements RequestForm {
  readonly reusable = false
  readonly #packet: string
  readonly #endpoint: PooledEndpoint

  constructor(packet: string, endpoint: PooledEndpoint) {
    this.#packet = packet
    this.#endpoint = endpoint
  }

  writeHead(stream: ByteStream): void {
    stream.writeText(this.#packet)
  }

  writeBody(stream: ByteStream, _job: Job, bytes: Uint8Array, start: number, end: number): void {
    stream.writeBytes(bytes, start, end)
  }

  writeEnd(): void {}

  answered(): void {
    if (this.#blockBytes > this.#endpoint.answeredBlockBytes) {
      this.#endpoint.answeredBlockBytes = this.#blockBytes
    }
  }

  /**
   * uWSGI says nothing to a block that its buffer does not hold, nor to one of too many variables, and looks
   * the same as a worker that died: a client could have its endpoint ejected.
   */
  unanswered(reason: string): Unanswered {
    const bytes = this.#blockBytes
    if (bytes > Math.max(USUAL_BUFFER_BYTES, this.#endpoint.answeredBlockBytes)) {
      const hint = `raise uwsgi's buffer-size, which is ${USUAL_BUFFER_BYTES} unless set`
      return tooLarge(`${reason} in response to ${bytes} bytes of variables: ${hint}`)
    }
    const variables = variablesIn(this.#packet)
    if (variables > USUAL_VARIABLES)
      return tooLarge(`${reason} in response to ${variables} variables: raise uwsgi's max-vars`)
    return { code: 'UPSTREAM_CLOSED', detail: `${reason} before its response` }
  }

  get #blockBytes(): number {
    return this.#packet.length - PACKET_HEADER_BYTES
  }
}

function tooLarge(detail: string): Unanswered {
  return { code: 'UPSTREAM_HEAD_TOO_LARGE', detail }
}

function refusalText({ refused, bytes }: PacketRefusal): string {
  const what = refused === 'block' ? 'the variables take' : `a ${refused} takes`
  return `${what} ${bytes} bytes, but the uwsgi protocol allows 65535`
}

function refuse(place: PooledPlace, owner: AttemptOwner, job: Job, code: ErrorCode, detail: string): void {
  place.give()
  owner.attemptFailed(place.endpoint, job, { code, kind: 'protocol', detail, answered: false })
}
