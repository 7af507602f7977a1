import { createHmac } from 'node:crypto'
import type { Address, StickyConfig, UpstreamConfig } from '../config/model.ts'
import { cookieNamed } from '../http/cookies.ts'
import { FIELD } from '../http/field-ids.ts'
import type { FieldList } from '../http/field-list.ts'
import { withField } from '../http/one-field.ts'

const TOKEN_BYTES = 16

/** What a cookie is made of. */
export type StickyUpstream = Pick<UpstreamConfig, 'name' | 'endpoints'>

/** The digests of some members. */
interface Tokens {
  readonly members: UpstreamConfig['endpoints'] | undefined
  /** By name. */
  readonly tokens: ReadonlyMap<string, string>
  /** Names by token. */
  readonly endpoints: ReadonlyMap<string, string>
}

const NO_TOKENS: Tokens = { members: undefined, tokens: new Map(), endpoints: new Map() }

/**
 * The cookie that keeps a client with one endpoint of an upstream. Its value is a keyed digest of the
 * endpoint's address: nobody can read that from it or make one up, and every process with the same secret
 * means the same endpoint by it, where the names of discovered ones (`app:8000/2`) may differ. Digests are
 * made when the endpoints change, not for a request.
 */
export class Sticky {
  readonly #config: StickyConfig
  readonly #upstream: () => StickyUpstream
  #tokens: Tokens = NO_TOKENS

  /** `upstream`: as it is now. */
  constructor(upstream: () => StickyUpstream, config: StickyConfig) {
    this.#upstream = upstream
    this.#config = config
  }

  /** Name of the endpoint that the client is bound to; undefined if to none that is configured. */
  wanted(fields: FieldList): string | undefined {
    // A look-up by hash tells nothing about how much of a guessed token is right, as a comparison in order
    // would.
    return this.#tokensOfNow().endpoints.get(cookieNamed(fields, this.#config.cookie))
  }

  /** The members' tokens, by name, as they are now. */
  get tokens(): ReadonlyMap<string, string> {
    return this.#tokensOfNow().tokens
  }

  /**
   * The answer's fields, and the cookie that binds the client to the endpoint that gave it. `before`: the
   * tokens when the request came.
   */
  bind(
    fields: FieldList,
    endpoint: string,
    scheme: 'http' | 'https',
    before: ReadonlyMap<string, string> = this.tokens,
  ): FieldList {
    // One that has left since is known to other processes, perhaps, and the client's session is there.
    const token = this.tokens.get(endpoint) ?? before.get(endpoint)
    if (token === undefined || isForAll(fields)) return fields
    // Another address has taken the name over (discovery/numbers.ts): either may have given the answer.
    if ((before.get(endpoint) ?? token) !== token) return fields
    const { cookie, maxAgeMs } = this.#config
    const secure = scheme === 'https' ? '; Secure' : ''
    const maxAge = maxAgeMs === undefined ? '' : `; Max-Age=${Math.ceil(maxAgeMs / 1000)}`
    return withField(
      fields,
      'Set-Cookie',
      `${cookie}=${token}; Path=/; HttpOnly; SameSite=Lax${secure}${maxAge}`,
    )
  }

  #tokensOfNow(): Tokens {
    const { name, endpoints: members } = this.#upstream()
    if (members === this.#tokens.members) return this.#tokens
    const pairs = members.map(it => [it.name, tokenOf(this.#config.secret, name, it.address)] as const)
    const endpoints = new Map(pairs.map(([endpoint, token]) => [token, endpoint]))
    this.#tokens = { members, tokens: new Map(pairs), endpoints }
    return this.#tokens
  }
}

/** A line break stands in no name, so that no two pairs of names are one text. */
function tokenOf(secret: string, upstream: string, address: Address): string {
  const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`
  const digest = createHmac('sha256', secret).update(`${upstream}\n${where}`).digest()
  return digest.subarray(0, TOKEN_BYTES).toString('base64url')
}

/** A shared cache would give the cookie of one client to all. */
function isForAll(fields: FieldList): boolean {
  return /(?:^|[\s,])(?:public|s-maxage)\b/i.test(fields.joined(FIELD['cache-control']) ?? '')
}
