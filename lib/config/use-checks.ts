import { namesOf, type Subject } from './references.ts'
import { nodeAt, type Path, placeOf } from './tree.ts'

/** What is written and leads nowhere: warnings, because a site may be built step by step. */
export function checkUse(subject: Subject): void {
  checkUpstreamsUsed(subject)
  checkRedirects(subject)
}

function checkUpstreamsUsed({ root, report }: Subject): void {
  const used = new Set<unknown>()
  const use = (path: Path) => {
    const node = nodeAt(root, path)
    if (node?.kind === 'leaf') used.add(node.value)
  }
  for (const name of namesOf(root, 'tunnels')) use(['tunnels', name, 'upstream'])
  for (const name of namesOf(root, 'routes')) {
    for (const path of [['upstream'], ['canary', 'upstream'], ['mirror', 'upstream']])
      use(['routes', name, ...path])
  }
  // Without any route that is told already.
  if (used.size === 0) return
  for (const name of namesOf(root, 'upstreams')) {
    if (!used.has(name))
      report.warning(
        placeOf(root, ['upstreams', name]),
        `no route or tunnel uses upstream "${name}"`,
        `write upstream = "${name}" in a route, or remove the upstream`,
      )
  }
}

/**
 * Whoever ends TLS in front must be believed that a request came over https, or it is sent there again and
 * again.
 */
function checkRedirects({ settings, root, report }: Subject): void {
  const listeners = [...settings.listeners.values()]
  if (listeners.some(({ tls, trustedProxies }) => tls !== undefined || trustedProxies.length > 0)) return
  for (const [name, { redirectHttps }] of settings.routes) {
    if (redirectHttps === true)
      report.warning(
        placeOf(root, ['routes', name, 'redirect_https']),
        'clients are redirected to https, but no listener has tls or trusted_proxies',
        'give a listener tls, or write trusted_proxies = ["10.0.0.0/8"], the addresses of the proxy that terminates TLS',
      )
  }
}
