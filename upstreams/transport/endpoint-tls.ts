import { isIP } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
} from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import type { PeerTls } from '../../lib/base/peer-socket.ts'
import type { EndpointConfig, UpstreamConfig } from '../../lib/config/model.ts'

/**
 * What an upstream's endpoints are to be believed by, and what they are shown: one for all of them in a
 * thread.
 */
export class TlsCredentials {
  readonly config: UpstreamConfig['tls']
  #context: SecureContext | undefined = undefined

  constructor(config: UpstreamConfig['tls']) {
    this.config = config
  }

  /** The same as before where a reload has changed nothing of it: its sessions stay good. */
  static for(config: UpstreamConfig['tls'], previous: TlsCredentials | undefined): TlsCredentials {
    return previous !== undefined && isDeepStrictEqual(config, previous.config)
      ? previous
      : new TlsCredentials(config)
  }

  /** Made when it is needed first: it costs milliseconds, and most upstreams need none. */
  get context(): SecureContext {
    const { ca, certificate, key } = this.config
    this.#context ??= createSecureContext({
      ca: ca?.text,
      cert: certificate?.text,
      key: key?.text,
      minVersion: 'TLSv1.2',
    })
    return this.#context
  }
}

/** TLS to one endpoint: whom we ask for, and the session that was given last. */
export class EndpointTls implements PeerTls {
  readonly credentials: TlsCredentials
  /** Its certificate has to be for this. */
  readonly name: string
  readonly #protocols: readonly string[]
  #session: Buffer | undefined = undefined

  constructor(credentials: TlsCredentials, endpoint: Pick<EndpointConfig, 'address' | 'host' | 'protocol'>) {
    this.credentials = credentials
    this.name = credentials.config.serverName ?? hostOf(endpoint)
    this.#protocols = endpoint.protocol === 'h2' ? ['h2'] : ['http/1.1']
  }

  options(): ConnectionOptions {
    const { name } = this
    const { context, config } = this.credentials
    return {
      secureContext: context,
      // RFC 6066 3: names only, and without the final dot.
      servername: isIP(name) === 0 ? name : '',
      rejectUnauthorized: config.verify,
      checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
      ALPNProtocols: [...this.#protocols],
      ...(this.#session === undefined ? {} : { session: this.#session }),
    }
  }

  remember(session: Buffer): void {
    this.#session = session
  }
}

/** As it was written, also where its address was found by a name. */
function hostOf({ address, host }: Pick<EndpointConfig, 'address' | 'host'>): string {
  if (host !== undefined) return withoutDot(host.slice(0, host.lastIndexOf(':')))
  return address.kind === 'unix' ? 'localhost' : withoutDot(address.host)
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}
