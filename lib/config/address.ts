import { isCidr } from '../http/cidr.ts'
import type { Address, EndpointProtocol } from './model.ts'

interface Fault {
  readonly fault: string
  readonly hint?: string
}
/** An address, or what is wrong with its text. */
export type AddressReading = { readonly value: Address } | Fault
export type EndpointReading =
  | { readonly value: { readonly address: EndpointAddress; readonly protocol: EndpointProtocol } }
  | Fault
/** Where an app answers: an address, or a name whose SRV records (RFC 2782) say it. */
export type EndpointAddress = Address | { readonly kind: 'srv'; readonly service: string }

const NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/
/** What is spoken behind each scheme. */
const PROTOCOLS: ReadonlyMap<string, EndpointProtocol> = new Map([
  ['http:', 'http1'],
  ['https:', 'https'],
  ['h2:', 'h2'],
  ['h2c:', 'h2c'],
  ['uwsgi:', 'uwsgi'],
])
// sun_path of Linux is 108 bytes with its closing zero (unix(7)); connect() cuts a longer one silently on
// some systems.
const MAX_SOCKET_PATH_BYTES = 107
const MAX_PORT = 65_535

/**
 * Where to listen: `0.0.0.0:8080`, `[::]:443`, `localhost:9180`, `unix:/run/web.sock`. Port 0 lets the system
 * choose.
 */
export function parseListenAddress(text: string): AddressReading {
  if (text.startsWith('unix:')) return socketAddress(text.slice('unix:'.length))
  if (/^:\d+$/.test(text)) {
    return {
      fault: 'the address has no host',
      hint: `write "0.0.0.0${text}" for every interface, or "127.0.0.1${text}" for this machine only`,
    }
  }
  if (/^\*:\d+$/.test(text))
    return notAnAddress('0.0.0.0:8080', `write "0.0.0.0${text.slice(1)}" for every interface`)
  if (/^\d+$/.test(text)) {
    return {
      fault: 'the address has no host',
      hint: `write "0.0.0.0:${text}" for every interface, or "127.0.0.1:${text}" for this machine only`,
    }
  }
  return hostAddress(text, 0, '0.0.0.0:8080')
}

/**
 * Where an app answers: `app:8000`, `http://app:8000`, `https://app:8443`, `h2://app:8443` and
 * `h2c://app:8000` (HTTP/2 with and without TLS), `unix:/run/app.sock`, `uwsgi://app:3031`,
 * `uwsgi+unix:/run/app.sock`, `srv://_http._tcp.app.example`.
 */
export function parseEndpointAddress(text: string): EndpointReading {
  if (text.startsWith('srv:')) return srvName(text)
  const reading = endpointAddress(text)
  return 'value' in reading ? { value: { address: reading.value, protocol: protocolOf(text) } } : reading
}

function protocolOf(text: string): EndpointProtocol {
  if (text.startsWith('uwsgi+unix:')) return 'uwsgi'
  return PROTOCOLS.get(/^[a-z0-9]+:(?=\/\/)/.exec(text)?.[0] ?? '') ?? 'http1'
}

function endpointAddress(text: string): AddressReading {
  const socket = /^(?:uwsgi\+)?unix:(.*)$/s.exec(text)
  if (socket !== null) return socketAddress(socket[1] as string)
  const scheme = /^[a-z][a-z0-9+]*:(?=\/)/.exec(text)?.[0]
  if (scheme === undefined) return hostAddress(text, 1, 'app:8000')
  if (!PROTOCOLS.has(scheme) || !text.startsWith(`${scheme}//`)) {
    return {
      fault: 'the scheme is not supported for endpoints',
      hint: 'write "app:8000", "https://app:8443", "h2c://app:8000", "unix:/run/app.sock", "uwsgi://app:3031" or "uwsgi+unix:/run/app.sock"',
    }
  }
  const host = text.slice(`${scheme}//`.length).replace(/\/$/, '')
  if (host.includes('/'))
    return {
      fault: 'an endpoint cannot have a path',
      hint: `write "${scheme === 'http:' ? '' : `${scheme}//`}${host.slice(0, host.indexOf('/'))}"`,
    }
  return hostAddress(host, 1, 'app:8000')
}

/** The address in the one form we print: host:port, brackets around IPv6, or unix:/path. */
export function addressText(address: EndpointAddress): string {
  if (address.kind === 'srv') return `srv://${address.service}`
  if (address.kind === 'unix') return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

function srvName(text: string): EndpointReading {
  const service = text.replace(/^srv:(?:\/\/)?/, '')
  if (text.startsWith('srv://') && NAME.test(service))
    return { value: { address: { kind: 'srv', service }, protocol: 'http1' } }
  return { fault: 'expected the name of SRV records such as "srv://_http._tcp.app.example"' }
}

/** False for names that the system must be asked about, again and again. */
export function isFixed(address: Address): boolean {
  return address.kind === 'unix' || address.host === 'localhost' || isCidr(address.host)
}

function hostAddress(text: string, minPort: number, example: string): AddressReading {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text)
  if (match === null) {
    const meant = bracketed(text, example)
    return notAnAddress(
      example,
      meant === undefined ? undefined : `an IPv6 address needs brackets: "${meant}"`,
    )
  }
  const [, v6, name = '', portText] = match
  const host = v6 ?? name
  if (v6 === undefined ? !isName(name) : !isCidr(v6) || !v6.includes(':') || v6.includes('/'))
    return notAnAddress(example)
  if (portText === undefined)
    return { fault: 'the address has no port', hint: `add one, such as "${text}:8000"` }
  const port = Number(portText)
  if (port < minPort || port > MAX_PORT) return { fault: `the port must be from ${minPort} to ${MAX_PORT}` }
  return { value: { kind: 'tcp', host, port } }
}

/**
 * What an IPv6 address without brackets was meant to be. The last group is the port where the rest is an
 * address of its own: nobody writes an address that ends with `:8080` for something else.
 */
function bracketed(text: string, example: string): string | undefined {
  const [, host = '', port = ''] = /^(.*):(\d{2,5})$/.exec(text) ?? []
  if (isV6(host) && Number(port) <= MAX_PORT) return `[${host}]:${port}`
  return isV6(text) ? `[${text}]:${example.split(':')[1]}` : undefined
}

function isV6(text: string): boolean {
  return text.includes(':') && !text.includes('/') && isCidr(text)
}

function isName(text: string): boolean {
  // What looks like an IPv4 address must be one: 300.1.1.1 is no name that anybody meant.
  return /^[\d.]+$/.test(text) ? isCidr(text) : NAME.test(text)
}

function socketAddress(path: string): AddressReading {
  if (path === '') return { fault: 'the socket has no path', hint: 'write "unix:/run/app.sock"' }
  if (path.startsWith('//'))
    return {
      fault: 'the path of a socket must start with a single "/"',
      hint: `write "unix:${path.replace(/^\/+/, '/')}"`,
    }
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    return { fault: `the path of the socket has ${bytes} bytes; the system allows ${MAX_SOCKET_PATH_BYTES}` }
  }
  return { value: { kind: 'unix', path } }
}

function notAnAddress(example: string, hint?: string): AddressReading {
  const fault = `expected an address such as "${example}" or "unix:/run/app.sock"`
  return hint === undefined ? { fault } : { fault, hint }
}
