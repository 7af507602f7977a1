import { connect, type Socket } from 'node:net'
import { FIELD } from '../../lib/http/field-ids.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import { LAST_CHUNK } from '../../lib/wire/chunked.ts'
import type { HeadLimits } from '../../lib/wire/refusal.ts'
import { readResponseHead } from '../../lib/wire/response-head.ts'
import { pathBytes, UwsgiVariables, utf8Bytes } from '../../lib/wire/uwsgi-variables.ts'
import { failedProbe } from './failure-reason.ts'
import type { Probe } from './health.ts'
import { judgeStatus, MAX_BODY_BYTES } from './probe-answer.ts'
import { connectOptions, ownGreeting, type ProbeTarget } from './probe-target.ts'

const LIMITS: HeadLimits = { headersBytes: 64 * 1024, headerCount: 256, targetBytes: 8 * 1024 }

/**
 * One GET as a real packet: uWSGI answers its own ping only with a plugin, and that would not ask the app.
 * Never rejects. The caller aborts `signal` when the time is over.
 */
export function probeUwsgi(target: ProbeTarget, signal: AbortSignal): Promise<Probe> {
  const packet = packetOf(target)
  if (typeof packet !== 'string') {
    return Promise.resolve({
      ok: false,
      reason: 'health.path and health.headers are too long for a uwsgi packet',
    })
  }
  return new Promise(resolve => {
    const socket = connect(connectOptions(target.address))
    const answer = new ProbeAnswer(target)
    let connected = false
    const finish = (probe: Probe) => {
      signal.removeEventListener('abort', giveUp)
      socket.destroy()
      resolve(probe)
    }
    const giveUp = () =>
      finish(
        connected
          ? { ok: false, reason: answer.reached, unanswered: true }
          : { ok: false, reason: 'no connection' },
      )
    signal.addEventListener('abort', giveUp)
    socket.once('connect', () => {
      connected = true
      socket.write(`${ownGreeting(target) ?? ''}${packet}`, 'latin1')
    })
    // `on`: an error behind the first must not be thrown.
    socket.on('error', error => finish(failedProbe(error, target.address)))
    readAnswer(socket, answer, finish)
  })
}

function readAnswer(socket: Socket, answer: ProbeAnswer, finish: (probe: Probe) => void): void {
  socket.on('data', bytes => {
    const probe = answer.add(bytes)
    if (probe !== undefined) finish(probe)
  })
  socket.once('end', () => finish(answer.end()))
}

/** The variables that an app needs to answer, and those of the configuration. */
function packetOf({ health, host }: ProbeTarget): ReturnType<UwsgiVariables['toPacket']> {
  const [path = '', ...query] = utf8Bytes(health.path).split('?')
  const port = /:(\d+)$/.exec(host)?.[1]
  const all = new UwsgiVariables()
  all.set('QUERY_STRING', query.join('?'))
  all.set('REQUEST_METHOD', 'GET')
  all.set('CONTENT_TYPE', '')
  all.set('CONTENT_LENGTH', '')
  all.set('REQUEST_URI', utf8Bytes(health.path))
  all.set('PATH_INFO', pathBytes(path))
  all.set('SERVER_PROTOCOL', 'HTTP/1.1')
  all.set('REQUEST_SCHEME', 'http')
  all.set('REMOTE_ADDR', '127.0.0.1')
  all.set('SERVER_PORT', port ?? '80')
  all.set('SERVER_NAME', port === undefined ? host : host.slice(0, -port.length - 1))
  all.set('HTTP_HOST', host)
  all.set('HTTP_USER_AGENT', 'causeway-probe')
  all.set('HTTP_ACCEPT', '*/*')
  all.set('HTTP_CONNECTION', 'close')
  for (const [name, value] of Object.entries(health.headers)) {
    all.set(`HTTP_${name.toUpperCase().replaceAll('-', '_')}`, utf8Bytes(value))
  }
  return all.toPacket()
}

/** An answer as far as it has come. */
class ProbeAnswer {
  readonly #target: ProbeTarget
  #bytes: Buffer = Buffer.alloc(0)
  #head: ResponseHead | undefined

  constructor(target: ProbeTarget) {
    this.#target = target
  }

  /** How far it has come, for a probe that takes too long. */
  get reached(): string {
    return this.#head === undefined ? 'no response' : 'the response did not end'
  }

  /** What is found out, as soon as it is. */
  add(bytes: Buffer): Probe | undefined {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    if (this.#head === undefined) {
      const refused = this.#readHead()
      if (refused !== undefined) return { ok: false, reason: `the response is not HTTP: ${refused}` }
    }
    const head = this.#head
    if (head === undefined) return undefined
    const bodyBytes = this.#bytes.length - head.size
    const whole = head.framing === 'none' || (head.framing === 'length' && bodyBytes >= head.contentLength)
    return whole || bodyBytes > MAX_BODY_BYTES ? this.#judge(head) : undefined
  }

  /** The app has closed. */
  end(): Probe {
    const head = this.#head
    if (head === undefined) return { ok: false, reason: 'connection closed before the response' }
    const lastChunk = this.#bytes.subarray(-LAST_CHUNK.length).toString('latin1') === LAST_CHUNK
    const whole = head.framing === 'close' || (head.framing === 'chunked' && lastChunk)
    return whole
      ? this.#judge(head)
      : { ok: false, reason: 'connection closed before the response was complete' }
  }

  /** The final head; interim ones before it are passed over. Returns why it is refused. */
  #readHead(): string | undefined {
    while (this.#head === undefined) {
      const head = readResponseHead(this.#bytes, 0, this.#bytes.length, 'GET', LIMITS)
      if (head === undefined) return undefined
      if ('refused' in head) return head.detail
      if (head.status >= 200) this.#head = head
      else this.#bytes = this.#bytes.subarray(head.size)
    }
    return undefined
  }

  #judge(head: ResponseHead): Probe {
    return judgeStatus(this.#target, head.status, head.fields.first(FIELD.location))
  }
}
