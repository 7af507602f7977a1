import { lifeTrouble } from '../base/certificate-life.ts'
import { systemClock } from '../base/clock.ts'
import type { KeyPair } from '../base/key-pair.ts'
import { isLoopback } from '../http/cidr.ts'
import type { Subject } from './references.ts'
import type { Place } from './source.ts'
import { placeOf } from './tree.ts'

/**
 * Certificates that clients refuse, or will soon. Only a warning: files are watched, and a new one is taken
 * while we run.
 */
export function checkLife({ report }: Subject, at: Place, file: string, pair: KeyPair): void {
  const trouble = lifeTrouble(pair, systemClock.wall())
  if (trouble !== undefined)
    report.warning(at, `${file} ${trouble}`, 'renew it: the files are watched, no reload is needed')
}

/**
 * Hosts of routes that no certificate covers. A route belongs to every listener, so one certificate on any of
 * them will do; `pairs`: all that could be read.
 */
export function checkCovered({ settings, root, report }: Subject, pairs: readonly KeyPair[]): void {
  if (pairs.length === 0 || [...settings.listeners.values()].some(({ tls }) => tls?.kind === 'auto')) return
  const names = new Set(pairs.flatMap(pair => pair.names))
  for (const [name, { hosts }] of settings.routes) {
    for (const [i, host] of hosts.entries()) {
      if (isLocal(host) || isCovered(host, names)) continue
      report.warning(
        placeOf(root, ['routes', name, 'hosts', i]),
        `no certificate covers ${host}: browsers will refuse it over https`,
        `the certificates cover ${[...names].join(', ')}`,
      )
    }
  }
}

/**
 * RFC 6125 6.4.3: a wildcard stands for one label. A host with a wildcard has names at any depth; the first
 * label must do.
 */
function isCovered(host: string, names: ReadonlySet<string>): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  return names.has(bare) || names.has(host.replace(/^[^.]+\./, '*.'))
}

function isLocal(host: string): boolean {
  return host === 'localhost' || isLoopback(host.replace(/^\[|\]$/g, ''))
}
