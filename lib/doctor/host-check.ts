import { type Answer, fieldOf, type Outcome, targetOf } from './answer.ts'
import { type Finding, hint, ok, problem } from './finding.ts'
import type { Names } from './names.ts'
import { schemeAdvice } from './scheme-advice.ts'
import { type Probe, STRANGER } from './survey.ts'

/**
 * Hosts that an app behind this configuration is asked for, as ALLOWED_HOSTS has them: those of routes, and
 * of probes.
 */
export function askedHosts(probes: readonly Probe[], { snapshot }: Names): string[] {
  const routed = snapshot?.routes.flatMap(({ action, hosts }) => (action.kind === 'proxy' ? hosts : [])) ?? []
  const probed = probes.flatMap(({ plan, host }) =>
    plan.endpoint === undefined && plan.host === undefined ? [] : withoutPort(host),
  )
  return [...new Set([...routed.map(host => host.replace(/^\*\./, '.')), ...probed])]
}

/** Does the app answer to its own name, and to no other? `asked`: other hosts that it must answer to. */
export function checkHosts(
  page: Answer,
  stranger: Outcome | undefined,
  asked: readonly string[] = [],
): Finding[] {
  const check = 'hosts'
  const { hostname, host } = new URL(page.url)
  const setting = allowing([hostname, ...asked])
  if (page.status === 400) {
    if (page.text.includes('HTTPS port')) {
      return [problem(check, page.url, 'plain http was sent to a TLS port', 'use https:// in the URL')]
    }
    return [problem(check, page.url, `400: the app rejects the Host "${host}"`, setting)]
  }
  if (stranger?.kind !== 'answer' || stranger.status >= 400) {
    return [ok(check, page.url, 'accepts its own host name only')]
  }
  const said = `${fieldOf(stranger, 'location') ?? ''}${stranger.text}`
  if (said.includes(STRANGER)) {
    const what = `the Host "${STRANGER}", which is not its own, is reflected in links of the response`
    return [problem(check, page.url, what, setting)]
  }
  return [hint(check, page.url, `any Host is accepted, such as "${STRANGER}"`, setting)]
}

/** Would health checks get their 200? `site` is what users ask for. */
export function checkProbes(probes: readonly Probe[], site: string, names: Names): Finding[] {
  return probes.map(probe => checkProbe(probe, site, names))
}

function checkProbe({ plan, host, own, probed }: Probe, site: string, names: Names): Finding {
  const check = 'probes'
  const { endpoint, path } = plan
  const where = `${endpoint === undefined ? '' : `${endpoint.socket ?? endpoint.origin} `}${path} with Host ${host}`
  const key = `Causeway: upstreams.${endpoint?.upstream ?? names.upstream}.health`
  // What really probes is only known from a configuration.
  const serious = endpoint === undefined ? hint : problem
  if (probed.kind === 'failure') {
    const fix = `start the app, correct upstreams.${endpoint?.upstream ?? names.upstream}.endpoints, or run this where Causeway runs`
    // Whether the site answers is another check; the app may only be out of our reach.
    return hint(check, where, probed.reason, fix)
  }
  if (endpoint?.expect.includes(probed.status) ?? (probed.status >= 200 && probed.status < 300)) {
    return ok(check, where, `returns ${probed.status}`)
  }
  // Through the front, a Host without a route gets nothing; the page itself is there.
  if (endpoint === undefined && probed.status === 404 && own.kind === 'answer' && own.status === 200) {
    return ok(check, own.url, 'returns 200')
  }
  if (probed.status === 400) return serious(check, where, REFUSED, hostAdvice(key, host, site, own))
  if (probed.status === 404) {
    const fix = endpoint === undefined ? NAME_THE_PAGE : `${key}.path = "<a page that returns 200>"`
    return serious(check, where, '404: this page does not exist', fix)
  }
  if (targetOf(probed)?.startsWith('https:')) {
    const says = Object.keys(plan.headers).some(name => name.toLowerCase() === 'x-forwarded-proto')
    const fix = says ? schemeAdvice(names.snapshot) : `${key}.headers = { X-Forwarded-Proto = "https" }`
    return serious(check, where, 'is redirected to https', fix)
  }
  return serious(check, where, `returns ${probed.status}`, `fix the page, or ${key}.path or ${key}.expect`)
}

/** Without a configuration, the path was a guess of ours or a word of the reader's. */
const NAME_THE_PAGE = 'specify the page that the probes request: --health PATH, or --config PATH'
const REFUSED = '400: ALLOWED_HOSTS does not contain this Host, so probes fail'

function hostAdvice(key: string, host: string, site: string, own: Outcome): string {
  const { hostname } = new URL(site)
  const name = withoutPort(host)
  // Both: with the site's own name alone the probe would go on failing.
  if (own.kind === 'answer' && own.status === 400) return allowing([hostname, name])
  return `${key}.host = "${hostname}" (or Django: add "${name}" to ALLOWED_HOSTS)`
}

function allowing(hosts: readonly string[]): string {
  return `Django: ALLOWED_HOSTS = [${[...new Set(hosts)].map(host => `"${host}"`).join(', ')}]`
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '')
}
