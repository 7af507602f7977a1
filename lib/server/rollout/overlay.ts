import type { EndpointConfig, NamedEndpoints, UpstreamConfig } from '../../config/model.ts'

/** Where endpoints come from: a table of the configuration, or a deploy in its place. */
export interface EndpointSource {
  readonly endpoints: readonly EndpointConfig[]
  readonly names: readonly NamedEndpoints[]
  readonly endpointsFile: string | undefined
}

/**
 * What a deploy has made of an upstream's endpoints. It lasts as long as the configuration says what it said
 * then.
 */
export interface Overlay {
  /** What the configuration said. */
  readonly configured: string
  /** Takes the traffic; undefined: what is configured. */
  readonly present: EndpointSource | undefined
  /** Probed, but without traffic: on its way in, or out. Undefined in it: what is configured. */
  readonly aside: { readonly source: EndpointSource | undefined } | undefined
}

/** Tells whether the configuration of an upstream's endpoints has changed. */
export function configuredText({ endpoints, names, endpointsFile, run }: UpstreamConfig): string {
  return JSON.stringify([endpoints, names, endpointsFile, run])
}

/**
 * Sources of an upstream's endpoints: first the one with the traffic, then the one without, if there is one.
 */
export function sourcesOf(
  upstream: UpstreamConfig,
  overlay: Overlay | undefined,
): readonly [EndpointSource, ...EndpointSource[]] {
  if (overlay === undefined || overlay.configured !== configuredText(upstream)) return [upstream]
  const { present = upstream, aside } = overlay
  return aside === undefined ? [present] : [present, aside.source ?? upstream]
}
