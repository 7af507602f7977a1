import { type KeyPair, readAuthorities, readKeyPair } from '../base/key-pair.ts'
import { whyNoCertificate } from './acme-hosts.ts'
import { checkCovered, checkLife } from './certificate-checks.ts'
import { isHttp2 } from './endpoint-fit.ts'
import { didYouMean } from './nearest.ts'
import { checkReference, namesOf, type Subject } from './references.ts'
import type { Settings } from './settings.ts'
import { placeText } from './source.ts'
import type { TlsSetting } from './tls-section.ts'
import { nodeAt, type Path, placeOf } from './tree.ts'
import { checkTunnelled } from './tunnel-checks.ts'

type Listener = Settings['listeners'] extends ReadonlyMap<string, infer T> ? T : never
type Upstream = Settings['upstreams'] extends ReadonlyMap<string, infer T> ? T : never
type Tunnel = Settings['tunnels'] extends ReadonlyMap<string, infer T> ? T : never

/**
 * What no single value shows of TLS, certificates and tunnels. `whole`: every file of the configuration could
 * be read.
 */
export function checkTls(subject: Subject, whole: boolean): void {
  const { settings } = subject
  for (const [name, listener] of settings.listeners) checkListener(subject, name, listener, whole)
  const pairs = [...settings.listeners].flatMap(([name, { tls }]) =>
    tls?.kind === 'files' ? checkFiles(subject, ['listeners', name, 'tls'], tls) : [],
  )
  if (whole && !subject.report.failed) checkCovered(subject, pairs)
  for (const [name, upstream] of settings.upstreams) checkProxyHeader(subject, name, upstream)
  for (const [name, tunnel] of settings.tunnels) checkTunnel(subject, name, tunnel, whole)
  checkSameTunnels(subject)
  checkTunnelled(subject)
}

function checkListener(subject: Subject, name: string, listener: Listener, whole: boolean): void {
  const { root, report, settings } = subject
  const path = ['listeners', name]
  const { tls, mtls } = listener
  if (listener.h2c && tls !== undefined)
    report.error(
      placeOf(root, [...path, 'h2c']),
      'h2c is HTTP/2 without TLS, but the listener has tls',
      'omit it',
    )
  if (mtls !== undefined) {
    if (tls === undefined || tls.kind === 'passthrough')
      report.error(
        placeOf(root, [...path, 'mtls']),
        'mtls requires a listener that terminates TLS',
        'set tls',
      )
    checkAuthorities(subject, [...path, 'mtls', 'ca'], mtls.ca)
  }
  if (listener.proxyProtocol && listener.trustedProxies.length === 0)
    report.error(
      placeOf(root, [...path, 'proxy_protocol']),
      'proxy_protocol requires trusted_proxies: connections from all other addresses are refused',
      'write trusted_proxies = ["10.0.0.0/8"], the addresses of the load balancer in front',
    )
  if (!whole) return
  if (
    tls?.kind === 'auto' &&
    ![...settings.routes.values()].some(({ hosts }) =>
      hosts.some(host => whyNoCertificate(host) === undefined),
    )
  )
    report.error(
      placeOf(root, [...path, 'tls']),
      'tls = "auto" gets certificates for the hosts of routes, but no route has a host',
      'write hosts = ["www.example.com"] in a route',
    )
  if (tls?.kind === 'passthrough' && ![...settings.tunnels.values()].some(tunnel => serves(tunnel, name)))
    report.error(
      placeOf(root, [...path, 'tls']),
      'tls = "passthrough" needs a tunnel, but no tunnel uses this listener',
      'write [tunnels.NAME] with an upstream',
    )
}

/** The pairs that are good. */
function checkFiles(
  subject: Subject,
  path: Path,
  { certificates }: Extract<TlsSetting, { kind: 'files' }>,
): KeyPair[] {
  return certificates.flatMap((files, i) => {
    // A single table stands where otherwise the list would.
    const at = (key: 'certificate' | 'key') =>
      placeOf(subject.root, certificates.length === 1 ? [...path, key] : [...path, i, key])
    const pair = readKeyPair(files)
    if (!('fault' in pair)) {
      checkLife(subject, at('certificate'), files.certificate, pair)
      return [pair]
    }
    subject.report.error(at(pair.file), `${files[pair.file]} ${pair.fault}`, pair.hint)
    return []
  })
}

function checkAuthorities({ root, report }: Subject, path: Path, file: string): void {
  const authorities = readAuthorities(file)
  if ('fault' in authorities)
    report.error(placeOf(root, path), `${file} ${authorities.fault}`, authorities.hint)
}

/** A header stands before all that a connection carries, and HTTP/2 carries many clients. */
function checkProxyHeader({ root, report }: Subject, name: string, upstream: Upstream): void {
  const at = (upstream.endpoints ?? []).findIndex(({ address: { protocol } }) => isHttp2(protocol))
  if (upstream.proxyProtocol === undefined || at < 0) return
  report.error(
    placeOf(root, ['upstreams', name, 'endpoints', at]),
    'proxy_protocol names one client per connection, but an HTTP/2 connection carries requests of many clients',
    'omit proxy_protocol, or write "https://…" or "http://…"',
  )
}

function checkTunnel(subject: Subject, name: string, tunnel: Tunnel, whole: boolean): void {
  if (!whole) return
  const { root, report, settings } = subject
  const path = ['tunnels', name]
  const upstream = nodeAt(root, [...path, 'upstream'])
  if (upstream !== undefined) checkReference(subject, upstream)
  for (const [i, listener] of tunnel.listeners.entries()) {
    const at = placeOf(root, [...path, 'listeners', i])
    const names = namesOf(root, 'listeners')
    if (!names.includes(listener))
      report.error(at, `listener ${JSON.stringify(listener)} is not defined`, didYouMean(listener, names))
    else if (settings.listeners.get(listener)?.tls === undefined && settings.listeners.has(listener))
      report.error(at, `listener "${listener}" has no tls: tunnels require TLS`, 'set tls = "passthrough"')
  }
  if (tunnel.listeners.length > 0 || [...settings.listeners.values()].some(({ tls }) => tls !== undefined))
    return
  report.error(
    placeOf(root, path),
    `no listener has tls: nothing reaches tunnel "${name}"`,
    'set tls = "passthrough"',
  )
}

/** Two tunnels for one name on one listener: order must not decide. */
function checkSameTunnels({ settings, root, report }: Subject): void {
  const seen = new Map<string, string>()
  for (const [name, { hosts, listeners }] of settings.tunnels) {
    for (const host of hosts.length === 0 ? ['any host'] : hosts) {
      for (const listener of listeners.length === 0 ? settings.listeners.keys() : listeners) {
        const key = `${listener} ${host}`
        const first = seen.get(key)
        seen.set(key, first ?? name)
        if (first === undefined || first === name) continue
        const firstAt = placeText(placeOf(root, ['tunnels', first]))
        report.error(
          placeOf(root, ['tunnels', name]),
          `tunnels "${first}" and "${name}" both match ${host} of listener "${listener}" (first at ${firstAt})`,
        )
      }
    }
  }
}

function serves(tunnel: Tunnel, listener: string): boolean {
  return tunnel.listeners.length === 0 || tunnel.listeners.includes(listener)
}
