import type { Snapshot } from '../config/model.ts'
import type { AcmeConfig, UpstreamTls } from '../config/tls-model.ts'
import { addressText } from './address-text.ts'

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
          : { ...upstream.health, headers: masked(upstream.health.headers) },
      sticky: upstream.sticky === undefined ? undefined : { ...upstream.sticky, secret: MASK },
      tls: tlsFiles(upstream.tls),
      run: upstream.run === undefined ? undefined : { ...upstream.run, env: masked(upstream.run.env) },
    })),
  }
}

function maskedAccount(account: AcmeConfig['externalAccount']): AcmeConfig['externalAccount'] {
  return account === undefined ? undefined : { ...account, hmacKey: MASK }
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
