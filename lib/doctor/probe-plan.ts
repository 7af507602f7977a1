/** A question as a health check asks it. */
export interface ProbePlan {
  /** The endpoint that the configuration has probed; undefined: a guess, asked through the front. */
  readonly endpoint: ProbedEndpoint | undefined
  readonly path: string
  /** Host field; undefined: the address of the site, as a load balancer would send it. */
  readonly host: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

export interface ProbedEndpoint {
  readonly upstream: string
  /** `http://127.0.0.1:8000`, without a path. */
  readonly origin: string
  readonly socket: string | undefined
  readonly expect: readonly number[]
}
