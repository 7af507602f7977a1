import type { FieldName } from './field-ids.ts'

/** How the client has come, beside X-Forwarded-Proto, which is ours to say. */
const SCHEMES: readonly FieldName[] = [
  'cloudfront-forwarded-proto',
  'front-end-https',
  'x-arr-ssl',
  'x-forwarded-https',
  'x-forwarded-scheme',
  'x-scheme',
  'x-url-scheme',
]

/** Who the user is: set by proxies that ask for a login, and believed by apps behind them. */
const USERS: readonly FieldName[] = [
  'cf-access-authenticated-user-email',
  'remote-email',
  'remote-groups',
  'remote-name',
  'remote-user',
  'tailscale-user-login',
  'tailscale-user-name',
  'x-amzn-oidc-identity',
  'x-auth-request-access-token',
  'x-auth-request-email',
  'x-auth-request-groups',
  'x-auth-request-preferred-username',
  'x-auth-request-user',
  'x-authentik-email',
  'x-authentik-groups',
  'x-authentik-name',
  'x-authentik-uid',
  'x-authentik-username',
  'x-forwarded-access-token',
  'x-forwarded-client-cert',
  'x-forwarded-email',
  'x-forwarded-groups',
  'x-forwarded-preferred-username',
  'x-forwarded-user',
  'x-goog-authenticated-user-email',
  'x-goog-authenticated-user-id',
  'x-ms-client-principal',
  'x-ms-client-principal-id',
  'x-ms-client-principal-name',
  'x-remote-group',
  'x-remote-user',
  'x-webauth-user',
]

/** Whence the client has come, beside X-Forwarded-For and X-Real-IP. */
const ADDRESSES: readonly FieldName[] = [
  'cf-connecting-ip',
  'client-ip',
  'fastly-client-ip',
  'forwarded-for',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-envoy-external-address',
  'x-forwarded',
  'x-original-forwarded-for',
  'x-originating-ip',
  'x-remote-addr',
  'x-remote-ip',
]

/** What the client has asked for: apps that decide about access for others judge by these. */
const TARGETS: readonly FieldName[] = [
  'x-forwarded-method',
  'x-forwarded-path',
  'x-forwarded-uri',
  'x-original-host',
  'x-original-method',
  'x-original-uri',
]

/**
 * Fields by which proxies tell apps what only a proxy can know. A client's own are dropped. From a trusted
 * proxy they pass as they are: we do not read them, so there is nothing that they could contradict.
 */
export const ONLY_FROM_PROXIES: readonly FieldName[] = [...SCHEMES, ...USERS, ...ADDRESSES, ...TARGETS]
