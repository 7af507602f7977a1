import type { RouteConfig, RunConfig, Snapshot } from '../../config/model.ts'
import type { AcmeConfig, UpstreamTls } from '../../config/tls-model.ts'
import { addressText } from '../shared/address-text.ts'

const MASK = '***'

/** The configuration that runs, for /config: what could be a secret is masked. */
export function maskedConfig(snapshot: Snapshot): object {
  return {
    ...snapshot,
    admin: { ...snapshot.admin, token: snapshot.admin.token === undefined ? undefined : MASK },
    acme: { ...snapshot.acme, externalAccount: maskedAccount(snapshot.acme.externalAccount) },
    listeners: snapshot.listeners.map(listener => ({
      ...listener,
      address: addressText(listener.address),
      // JSON has no infinity.
      limits: { ...listener.limits, bodyBytes: finite(listener.limits.bodyBytes) },
    })),
    upstreams: snapshot.upstreams.map(upstream => ({
      ...upstream,
      endpoints: upstream.endpoints.map(it => ({ ...it, address: addressText(it.address) })),
      health:
        upstream.health === undefined
          ? undefined
          : {
              ...upstream.health,
              path: withoutQuery(upstream.health.path),
              headers: masked(upstream.health.headers),
            },
      sticky: upstream.sticky === undefined ? undefined : { ...upstream.sticky, secret: MASK },
      tls: tlsFiles(upstream.tls),
      run:
        upstream.run === undefined
          ? undefined
          : { ...upstream.run, command: maskedCommand(upstream.run.command), env: masked(upstream.run.env) },
    })),
    routes: snapshot.routes.map(route => ({
      ...route,
      action: maskedAction(route.action),
      maintenance:
        route.maintenance === undefined
          ? undefined
          : { ...route.maintenance, bypassCookie: maskedPair(route.maintenance.bypassCookie) },
    })),
  }
}

function maskedAccount(account: AcmeConfig['externalAccount']): AcmeConfig['externalAccount'] {
  return account === undefined ? undefined : { ...account, hmacKey: MASK }
}

/** Whoever knows a canary's mark chooses where requests go. */
function maskedAction(action: RouteConfig['action']): RouteConfig['action'] {
  if (action.kind !== 'proxy' || action.canary === undefined) return action
  const { header, cookie } = action.canary
  return { ...action, canary: { ...action.canary, header: maskedPair(header), cookie: maskedPair(cookie) } }
}

/** The program, and how many arguments it has: passwords are among them, at times. */
function maskedCommand([program, ...args]: RunConfig['command']): RunConfig['command'] {
  return [program, ...args.map(() => MASK)]
}

/** What comes behind the name of `NAME=VALUE`. */
function maskedPair(pair: string | undefined): string | undefined {
  return pair === undefined ? pair : `${pair.slice(0, pair.indexOf('='))}=${MASK}`
}

function withoutQuery(path: string): string {
  return path.replace(/\?.*/s, `?${MASK}`)
}

/** Where certificates and keys stand, not what they say. */
function tlsFiles({ ca, certificate, key, ...same }: UpstreamTls): object {
  return { ...same, ca: ca?.path, certificate: certificate?.path, key: key?.path }
}

/** Fields of probes and workers' environments often carry credentials. */
function masked(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(values).map(name => [name, MASK]))
}

function finite(value: number): number | 'none' {
  return Number.isFinite(value) ? value : 'none'
}
