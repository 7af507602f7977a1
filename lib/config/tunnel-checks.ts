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
  const why = `upstream "${name}" is behind a tunnel: its endpoints receive the bytes of clients unchanged`
  for (const [i, { address }] of (upstream.endpoints ?? []).entries()) {
    const { protocol } = address
    if (protocol === 'http1') continue
    const place = placeOf(root, ['upstreams', name, 'endpoints', i])
    report.error(place, `${why}, but this one uses ${protocol}`, 'write "app:8443"')
  }
  if (upstream.run?.protocol === 'uwsgi')
    report.error(placeOf(root, ['upstreams', name, 'run', 'protocol']), `${why}, so uwsgi is not possible`)
}

function checkBalance({ root, report }: Subject, name: string, { hashOn, sticky }: Upstream): void {
  const unseen = 'where requests cannot be read'
  if (hashOn !== undefined && hashOn.on !== 'client-ip')
    report.warning(
      placeOf(root, ['upstreams', name, 'hash_on']),
      `upstream "${name}" is behind a tunnel, ${unseen}: client-ip is hashed instead`,
      'write hash_on = "client-ip"',
    )
  if (sticky !== undefined)
    report.warning(
      placeOf(root, ['upstreams', name, 'sticky']),
      `upstream "${name}" is behind a tunnel, ${unseen}: sticky has no cookie to use`,
    )
}

function warnOfProbes({ root, report }: Subject, name: string): void {
  report.warning(
    placeOf(root, ['upstreams', name, 'health', 'type']),
    `upstream "${name}" is behind a tunnel: its endpoints expect TLS, so a plain HTTP probe fails`,
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
      `tunnel "${name}" matches every host of listener "${listener}": the certificates of that listener are never used`,
      'list the hosts of the tunnel, or set tls = "passthrough" on the listener',
    )
  }
}
