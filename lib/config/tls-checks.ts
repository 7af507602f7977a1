import { readAuthorities, readKeyPair } from '../base/key-pair.ts'
import { whyNoCertificate } from './acme-hosts.ts'
import type { Subject } from './cross-checks.ts'
import { didYouMean } from './nearest.ts'
import type { Settings } from './settings.ts'
import { placeText } from './source.ts'
import type { TlsSetting } from './tls-section.ts'
import { type Path, placeOf } from './tree.ts'

type Listener = Settings['listeners'] extends ReadonlyMap<string, infer T> ? T : never
type Upstream = Settings['upstreams'] extends ReadonlyMap<string, infer T> ? T : never
type Tunnel = Settings['tunnels'] extends ReadonlyMap<string, infer T> ? T : never

/** What no single value shows of TLS, certificates and tunnels. `whole`: every file of the configuration could be read. */
export function checkTls(subject: Subject, whole: boolean): void {
  const { settings } = subject
  for (const [name, listener] of settings.listeners) checkListener(subject, name, listener, whole)
  for (const [name, upstream] of settings.upstreams) checkEndpointsTls(subject, name, upstream)
  for (const [name, tunnel] of settings.tunnels) checkTunnel(subject, name, tunnel, whole)
  checkSameTunnels(subject)
}

function checkListener(subject: Subject, name: string, listener: Listener, whole: boolean): void {
  const { root, report, settings } = subject
  const path = ['listeners', name]
  const { tls, mtls } = listener
  if (tls?.kind === 'files') checkFiles(subject, [...path, 'tls'], tls)
  if (listener.h2c && tls !== undefined)
    report.error(
      placeOf(root, [...path, 'h2c']),
      'h2c is HTTP/2 without TLS, and the listener has tls',
      'leave it out',
    )
  if (mtls !== undefined) {
    if (tls === undefined || tls.kind === 'passthrough')
      report.error(
        placeOf(root, [...path, 'mtls']),
        'mtls counts only with certificates of its own',
        'set tls',
      )
    checkAuthorities(subject, [...path, 'mtls', 'ca'], mtls.ca)
  }
  if (listener.proxyProtocol && listener.trustedProxies.length === 0)
    report.error(
      placeOf(root, [...path, 'proxy_protocol']),
      'proxy_protocol needs trusted_proxies: whoever is not listed there is refused',
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
      'tls = "auto" asks for certificates of the hosts of routes, and no route has one',
      'write hosts = ["www.example.com"] in a route',
    )
  if (tls?.kind === 'passthrough' && ![...settings.tunnels.values()].some(tunnel => serves(tunnel, name)))
    report.error(
      placeOf(root, [...path, 'tls']),
      'tls = "passthrough" decrypts nothing, and no tunnel takes what comes',
      'write [tunnels.NAME] with an upstream',
    )
}

function checkFiles(subject: Subject, path: Path, tls: Extract<TlsSetting, { kind: 'files' }>): void {
  const { root, report } = subject
  for (const [i, files] of tls.certificates.entries()) {
    const pair = readKeyPair(files)
    if (!('fault' in pair)) continue
    // A single table stands where otherwise the list would.
    const listed = placeOf(root, [...path, i, pair.file])
    const at = tls.certificates.length === 1 ? placeOf(root, [...path, pair.file]) : listed
    report.error(at, `${files[pair.file]} ${pair.fault}`, pair.hint)
  }
}

function checkAuthorities({ root, report }: Subject, path: Path, file: string): void {
  const authorities = readAuthorities(file)
  if ('fault' in authorities)
    report.error(placeOf(root, path), `${file} ${authorities.fault}`, authorities.hint)
}

function checkEndpointsTls(subject: Subject, name: string, upstream: Upstream): void {
  const { root, report } = subject
  const path = ['upstreams', name, 'tls']
  const { ca, certificate, key, verify } = upstream.tls
  if (ca !== undefined) checkAuthorities(subject, [...path, 'ca'], ca)
  if (!verify)
    report.warning(
      placeOf(root, [...path, 'verify']),
      `endpoints of upstream "${name}" may be anybody: verify is off`,
      'name their authority: tls = { ca = "/certs/ca.pem" }',
    )
  if (certificate === undefined && key === undefined) return
  if (certificate === undefined || key === undefined)
    return report.error(placeOf(root, path), 'certificate and key belong together', 'write both, or none')
  const pair = readKeyPair({ certificate, key })
  if ('fault' in pair)
    report.error(
      placeOf(root, [...path, pair.file]),
      `${pair.file === 'key' ? key : certificate} ${pair.fault}`,
      pair.hint,
    )
}

function checkTunnel(subject: Subject, name: string, tunnel: Tunnel, whole: boolean): void {
  if (!whole) return
  const { root, report, settings } = subject
  const path = ['tunnels', name]
  const upstreams = [...settings.upstreams.keys()]
  if (!upstreams.includes(tunnel.upstream))
    report.error(
      placeOf(root, [...path, 'upstream']),
      `upstream ${JSON.stringify(tunnel.upstream)} is not defined`,
      didYouMean(tunnel.upstream, upstreams),
    )
  for (const [i, listener] of tunnel.listeners.entries()) {
    const at = placeOf(root, [...path, 'listeners', i])
    const known = settings.listeners.get(listener)
    if (known === undefined)
      report.error(
        at,
        `listener ${JSON.stringify(listener)} is not defined`,
        didYouMean(listener, [...settings.listeners.keys()]),
      )
    else if (known.tls === undefined)
      report.error(
        at,
        `listener "${listener}" has no tls: tunnels are for TLS clients`,
        'tls = "passthrough"',
      )
  }
  if (tunnel.listeners.length > 0 || [...settings.listeners.values()].some(({ tls }) => tls !== undefined))
    return
  report.error(
    placeOf(root, path),
    `no listener has tls: nothing reaches tunnel "${name}"`,
    'tls = "passthrough"',
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
          `tunnels "${first}" and "${name}" both take ${host} of listener "${listener}" (first at ${firstAt})`,
        )
      }
    }
  }
}

function serves(tunnel: Tunnel, listener: string): boolean {
  return tunnel.listeners.length === 0 || tunnel.listeners.includes(listener)
}
