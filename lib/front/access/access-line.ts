import type { Clock } from '../../base/clock.ts'
import { jsonSlice, jsonText } from '../../base/json-text.ts'
import type { ExchangeFacts } from '../../http/exchange.ts'
import { FIELD } from '../../http/field-ids.ts'
import { type FieldList, STRIDE } from '../../http/field-list.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import type { TunnelFacts } from './tunnel-facts.ts'

/** Longest values, in characters: a client must not fill the disk with one request. */
export const MAX = {
  id: 128,
  ip: 64,
  method: 32,
  host: 255,
  path: 2048,
  agent: 512,
  referer: 1024,
  detail: 512,
} as const

const DIGITS3: readonly string[] = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, '0'))
const DECIMALS: readonly string[] = DIGITS3.map(digits => `.${digits}`)
const USER_AGENT = FIELD['user-agent']
const REFERER = FIELD.referer

/**
 * Builds the access log's lines in pino's shape, without its cost (test/bench/micro-access.ts): few pieces,
 * each looked at once. Query strings, cookies and credentials never appear; of the Referer only what stands
 * before its query.
 */
export class AccessLine {
  readonly #clock: Clock
  readonly #listeners = new NameTexts('listener')
  readonly #routes = new NameTexts('route')
  readonly #tunnels = new NameTexts('tunnel')
  readonly #upstreams = new NameTexts('upstream')
  readonly #endpoints = new NameTexts('endpoint')
  #second = Number.NaN
  #head = ''

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** One line with its line end. What is not known is left out. Hot. */
  text(exchange: ExchangeFacts, endMs: number): string {
    const { client, record, request } = exchange
    let line = `${this.#start()}${jsonText(record.requestId, MAX.id)}"${this.#listeners.text(client.listener)}`
    line += requestText(exchange) + resultText(record, endMs) + headersText(request.fields)
    if (record.route !== undefined) line += this.#routes.text(record.route)
    if (record.upstream !== undefined) line += this.#upstreamText(record, record.upstream)
    return line + endText(record)
  }

  /** The same of a tunnel: in place of what is encrypted stands whom the client has asked for. */
  tunnelText({ client, record, tunnel, serverName = '' }: TunnelFacts, endMs: number): string {
    let line = `${this.#start()}${jsonText(record.requestId, MAX.id)}"${this.#listeners.text(client.listener)}`
    line += `${optional('client_ip', record.clientIp, MAX.ip)},"proto":"TLS"${this.#tunnels.text(tunnel)}`
    line += optional('server_name', serverName, MAX.host) + resultText(record, endMs)
    if (record.upstream !== undefined) line += this.#upstreamText(record, record.upstream)
    return line + endText(record)
  }

  /** Up to the request id. The text of a second is made once. */
  #start(): string {
    const wallMs = Math.floor(this.#clock.wall())
    const second = Math.floor(wallMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#head = `{"level":"info","time":"${new Date(second * 1000).toISOString().slice(0, 20)}`
    }
    return `${this.#head}${DIGITS3[wallMs - second * 1000]}Z","msg":"access","req_id":"`
  }

  #upstreamText(record: ExchangeRecord, upstream: string): string {
    const { endpoint, bodyMs, queueMs, connectMs, attemptAtMs, sentAtMs, firstByteAtMs, upstreamEndAtMs } =
      record
    let text = this.#upstreams.text(upstream)
    if (endpoint !== undefined) text += this.#endpoints.text(endpoint)
    text += `,"attempts":${record.attempts}`
    if (bodyMs > 0) text += `,"body_ms":${msText(bodyMs)}`
    if (queueMs > 0) text += `,"queue_ms":${msText(queueMs)}`
    if (connectMs > 0) text += `,"connect_ms":${msText(connectMs)}`
    if (sentAtMs !== undefined && firstByteAtMs !== undefined) {
      text += `,"first_byte_ms":${msText(firstByteAtMs - sentAtMs)}`
    }
    if (attemptAtMs === undefined || upstreamEndAtMs === undefined) return text
    return `${text},"upstream_ms":${msText(upstreamEndAtMs - attemptAtMs)}`
  }
}

/** Names come from the configuration; a bound all the same, for one that is reloaded all day. */
const MAX_NAMES = 10_000

/** `,"key":"name"` of configured names, each made once. */
class NameTexts {
  readonly #key: string
  readonly #texts = new Map<string, string>()

  constructor(key: string) {
    this.#key = key
  }

  text(name: string): string {
    return this.#texts.get(name) ?? this.#make(name)
  }

  #make(name: string): string {
    if (this.#texts.size >= MAX_NAMES) this.#texts.clear()
    const text = `,"${this.#key}":"${jsonText(name, name.length)}"`
    this.#texts.set(name, text)
    return text
  }
}

/** Who asks for what. Of a request whose head was refused, some of this is not known. */
function requestText({ record, request }: ExchangeFacts): string {
  const { clientIp, scheme } = record
  const { protocol, method, host, path } = request
  if (clientIp === '' || method === '' || host === '' || path === '') {
    const who = optional('client_ip', clientIp, MAX.ip) + protocolText(protocol, scheme)
    return `${who}${optional('method', method, MAX.method)}${optional('host', host, MAX.host)}${optional('path', path, MAX.path)}`
  }
  return `,"client_ip":"${jsonText(clientIp, MAX.ip)}"${protocolText(protocol, scheme)},"method":"${jsonText(method, MAX.method)}","host":"${jsonText(host, MAX.host)}","path":"${jsonText(path, MAX.path)}"`
}

function protocolText(protocol: string, scheme: string): string {
  if (protocol === 'HTTP/1.1' && scheme === 'http') return ',"proto":"HTTP/1.1","scheme":"http"'
  if (protocol === 'HTTP/1.1' && scheme === 'https') return ',"proto":"HTTP/1.1","scheme":"https"'
  return `,"proto":"${protocol}","scheme":"${scheme}"`
}

function optional(key: string, value: string, maxLength: number): string {
  return value === '' ? '' : `,"${key}":"${jsonText(value, maxLength)}"`
}

function resultText({ status, startMs, bytesIn, bytesOut }: ExchangeRecord, endMs: number): string {
  return `,"status":${status},"dur_ms":${msText(endMs - startMs)},"bytes_in":${bytesIn},"bytes_out":${bytesOut}`
}

function endText({ end, detail }: ExchangeRecord): string {
  if (end === 'ok' && detail === undefined) return ',"end":"ok"}\n'
  return `,"end":"${end}"${optional('detail', detail ?? '', MAX.detail)}}\n`
}

function headersText(fields: FieldList): string {
  const agent = fields.rawIndexOf(USER_AGENT)
  const referer = fields.rawIndexOf(REFERER)
  let text = ''
  if (agent >= 0) {
    const start = fields.marks[agent * STRIDE + 3] as number
    const end = fields.marks[agent * STRIDE + 4] as number
    text = `,"ua":"${jsonSlice(fields.text, start, end, MAX.agent)}"`
  }
  return referer < 0 ? text : `${text},"referer":"${jsonText(placeOf(fields.value(referer)), MAX.referer)}"`
}

/** A URL without query and fragment, and without a user's name and password. */
export function placeOf(url: string): string {
  let end = url.indexOf('?')
  if (end < 0) end = url.length
  const hash = url.indexOf('#')
  if (hash >= 0 && hash < end) end = hash
  const place = end === url.length ? url : url.slice(0, end)
  return place.includes('@') ? withoutUser(place) : place
}

/** RFC 3986 3.2: the authority stands behind `//` up to the next `/`, and a user in it up to its last `@`. */
function withoutUser(place: string): string {
  const start = place.indexOf('//') + 2
  const slash = place.indexOf('/', start)
  const at = place.slice(0, slash < 0 ? place.length : slash).lastIndexOf('@')
  return at < start ? place : place.slice(0, start) + place.slice(at + 1)
}

/** Milliseconds with three decimals, from two whole numbers: printing a fraction costs far more. */
function msText(ms: number): string {
  const micros = ms > 0 ? Math.round(ms * 1000) : 0
  const whole = Math.floor(micros / 1000)
  return whole + (DECIMALS[micros - whole * 1000] as string)
}
