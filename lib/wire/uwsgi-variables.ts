import { type PacketRefusal, uwsgiPacket } from './uwsgi-packet.ts'

/**
 * Names of fields that can be told from each other as variables; what clients send beside them is dropped.
 */
const PLAIN_NAME = /^[A-Za-z0-9-]+$/
const ESCAPE = /%([0-9A-Fa-f]{2})/g

/**
 * The variables of one request for the uwsgi protocol, CGI by another wire (RFC 3875 4.1). Each key stands
 * there once: uWSGI keeps the last of two. What comes from fields always gets a key that begins with `HTTP_`,
 * so no field can set UWSGI_FILE, UWSGI_MODULE or another key that makes uWSGI load code. Text is latin1, one
 * character a byte.
 */
export class UwsgiVariables {
  readonly #pairs = new Map<string, string>()

  set(key: string, value: string): void {
    this.#pairs.set(key, value)
  }

  /**
   * A field of the request. Repeated ones are joined with a comma (RFC 9110 5.3). Content-Type has a key
   * without HTTP_; Content-Length is for the caller to set, and `Proxy` would be taken for the HTTP_PROXY of
   * the environment.
   */
  addField(name: string, value: string): void {
    if (!PLAIN_NAME.test(name)) return
    const upper = name.toUpperCase().replaceAll('-', '_')
    if (upper === 'CONTENT_LENGTH' || upper === 'PROXY') return
    const key = upper === 'CONTENT_TYPE' ? upper : `HTTP_${upper}`
    const before = this.#pairs.get(key)
    this.#pairs.set(key, before === undefined || before === '' ? value : `${before}, ${value}`)
  }

  /** Fields in lines of text that we wrote ourselves. */
  addLines(text: string): void {
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf('\r\n', at)
      const colon = text.indexOf(': ', at)
      this.addField(text.slice(at, colon), text.slice(colon + 2, end))
      at = end + 2
    }
  }

  toPacket(): string | PacketRefusal {
    return uwsgiPacket(this.#pairs)
  }
}

/**
 * A path for PATH_INFO: each escape is the byte that it stands for, once. The validated path has no broken
 * one.
 */
export function pathBytes(path: string): string {
  if (!path.includes('%')) return path
  return path.replace(ESCAPE, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Text of the configuration as the latin1 text of its UTF-8 bytes. */
export function utf8Bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
