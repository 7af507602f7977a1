import type { EndpointProtocol, UpstreamConfig } from './model.ts'

/** Many requests share one connection there. */
export function isHttp2(protocol: EndpointProtocol): boolean {
  return protocol === 'h2' || protocol === 'h2c'
}

/** The connection is encrypted. */
export function isSecure(protocol: EndpointProtocol): boolean {
  return protocol === 'https' || protocol === 'h2'
}

/**
 * Why an upstream with these settings cannot have an endpoint that speaks this; undefined if it can. Written
 * endpoints have been checked with the configuration, those of files and deploys come later.
 */
export function misfit(
  protocol: EndpointProtocol,
  {
    body,
    proxyProtocol,
  }: { body: UpstreamConfig['body'] | undefined; proxyProtocol: 'v1' | 'v2' | undefined },
): string | undefined {
  if (protocol === 'uwsgi' && body === 'stream') return 'the uwsgi protocol needs body = "spool"'
  if (isHttp2(protocol) && proxyProtocol !== undefined) return 'HTTP/2 cannot have proxy_protocol'
  return undefined
}
