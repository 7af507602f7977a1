import type { Subject } from './references.ts'
import type { Settings } from './settings.ts'
import { placeOf } from './tree.ts'

type Upstream = Settings['upstreams'] extends ReadonlyMap<string, infer T> ? T : never
type Tunnel = Settings['tunnels'] extends ReadonlyMap<string, infer T> ? T : never

/** What tunnels and the upstreams behind them make of each other. */
export function checkTunnelled(subject: Subject): void {
  const { tunnels, upstreams } = subject.settings
  for (const [name, tunnel] of tunnels) checkCertificates(subject, name, tunnel)
  const tunnelled = new Set([...tunnels.values()].map(({ upstream }) => upstream))
  for (const [name, upstream] of upstreams) {
    if (!tunnelled.has(name)) continue
    checkEndpoints(subject, name, upstream)
    checkBalance(subject, name, upstream)
    if (upstream.health?.type === 'http') warnOfProbes(subject, name)
  }
}

function checkEndpoints({ root, report }: Subject, name: string, upstream: Upstream): void {
  const why = `upstream "${name}" is behind a tunnel: its endpoints get the bytes of clients as they come`
  for (const [i, { address }] of (upstream.endpoints ?? []).entries()) {
    const { protocol } = address
    if (protocol === 'http1') continue
    const place = placeOf(root, ['upstreams', name, 'endpoints', i])
    report.error(place, `${why}, and this one is spoken to in ${protocol}`, 'write "app:8443"')
  }
  if (upstream.run?.protocol === 'uwsgi')
    report.error(placeOf(root, ['upstreams', name, 'run', 'protocol']), `${why}, and no uwsgi`)
}

function checkBalance({ root, report }: Subject, name: string, { hashOn, sticky }: Upstream): void {
  const unseen = 'and what a tunnel carries cannot be read'
  if (hashOn !== undefined && hashOn.on !== 'client-ip')
    report.warning(
      placeOf(root, ['upstreams', name, 'hash_on']),
      `upstream "${name}" is behind a tunnel, ${unseen}: there client-ip is hashed`,
      'write hash_on = "client-ip"',
    )
  if (sticky !== undefined)
    report.warning(
      placeOf(root, ['upstreams', name, 'sticky']),
      `upstream "${name}" is behind a tunnel, ${unseen}: there is no cookie to stick to`,
    )
}

function warnOfProbes({ root, report }: Subject, name: string): void {
  report.warning(
    placeOf(root, ['upstreams', name, 'health', 'type']),
    `upstream "${name}" is behind a tunnel: its endpoints expect TLS, and fail a probe by plain HTTP`,
    'write type = "tcp"',
  )
}

/** A tunnel for every name leaves a listener nothing to decrypt. */
function checkCertificates({ settings, root, report }: Subject, name: string, tunnel: Tunnel): void {
  if (tunnel.hosts.length > 0) return
  for (const [listener, { tls }] of settings.listeners) {
    if (tls === undefined || tls.kind === 'passthrough') continue
    if (tunnel.listeners.length > 0 && !tunnel.listeners.includes(listener)) continue
    report.warning(
      placeOf(root, ['tunnels', name]),
      `tunnel "${name}" takes every host of listener "${listener}": its certificates are never shown`,
      'name the hosts of the tunnel, or write tls = "passthrough" there',
    )
  }
}
