import { type Answer, leadsAway, type Outcome, targetOf } from './answer.ts'
import { type Finding, hint, ok, problem } from './finding.ts'
import type { Names } from './names.ts'
import { schemeAdvice } from './scheme-advice.ts'
import type { Spoof } from './survey.ts'

const CHECK = 'redirects'

/** Do the redirects end at a page, over https, at the port where they began? */
export function checkRedirects(chain: readonly Outcome[], spoofs: readonly Spoof[], names: Names): Finding[] {
  const last = chain.at(-1) as Outcome
  const target = targetOf(last)
  if (target !== undefined && leadsAway(last.url, target)) {
    const fix = 'specify the URL of a page that the site serves itself'
    return [hint(CHECK, last.url, `redirects to another site, ${target}, which is not checked`, fix)]
  }
  if (target !== undefined) return [loop(chain, target, spoofs, names)]
  const turns = chain.slice(1).flatMap((to, i) => checkTurn((chain[i] as Outcome).url, to.url, names))
  if (turns.length > 0) return turns
  return last.kind === 'failure' ? [] : checkScheme(chain, last, names)
}

function loop(chain: readonly Outcome[], target: string, spoofs: readonly Spoof[], names: Names): Finding {
  const start = chain.findIndex(({ url }) => url === target)
  const round = [...chain.slice(Math.max(start, 0)).map(({ url }) => url), target]
  const text = `${start < 0 ? 'endless redirects' : 'a redirect loop'}: ${round.join(' -> ')}`
  const schemes = new Set(round.map(url => new URL(url).protocol))
  const where = chain[0]?.url ?? target
  if (schemes.size > 1) {
    const fix =
      'one side redirects clients to https and the other one back: keep Django: SECURE_SSL_REDIRECT = True, and remove the redirect to http'
    return problem(CHECK, where, text, `${fix}; ${loopAdvice(spoofs, names)}`)
  }
  if (schemes.has('https:')) {
    const what = `${text}; the app treats the request as plain http`
    return problem(CHECK, where, what, loopAdvice(spoofs, names))
  }
  return problem(CHECK, where, text, 'Django: APPEND_SLASH, or the conflicting redirect of the app or proxy')
}

/** How the app gets to know that the client came over https. */
function loopAdvice(spoofs: readonly Spoof[], { listener, snapshot }: Names): string {
  const helps = spoofs.some(
    ({ claimed, honest, spoofed }) =>
      claimed === 'https' && targetOf(honest) !== undefined && isPage(spoofed),
  )
  const send = 'the proxy that terminates TLS must send X-Forwarded-Proto: https'
  if (helps) return `${send}, replacing what clients send`
  const trust = `Causeway: listeners.${listener}.trusted_proxies = ["<address of the proxy that terminates TLS>"]`
  const believed = snapshot?.listeners.some(({ trustedProxies }) => trustedProxies.length > 0)
  if (believed === true) return `${schemeAdvice(snapshot)}; ${send}`
  return `${schemeAdvice(snapshot)}, and ${trust}, so that its X-Forwarded-Proto is trusted`
}

function isPage(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && outcome.status < 500 && targetOf(outcome) === undefined
}

/** One redirect that works, but leads where it should not. */
function checkTurn(from: string, to: string, { snapshot }: Names): Finding[] {
  const [a, b] = [new URL(from), new URL(to)]
  const where = `${from} -> ${to}`
  if (a.protocol === 'https:' && b.protocol === 'http:') {
    return [problem(CHECK, where, 'https clients are redirected to plain http', schemeAdvice(snapshot))]
  }
  if (a.protocol === b.protocol && a.hostname === b.hostname && a.port !== b.port) {
    const fix =
      'forward the Host field with its port (nginx: proxy_set_header Host $http_host; Causeway does so by default)'
    return [problem(CHECK, where, `the port ${a.port} does not reach the app`, fix)]
  }
  return []
}

function checkScheme(chain: readonly Outcome[], page: Answer, { route }: Names): Finding[] {
  const { protocol, hostname } = new URL(page.url)
  if (protocol === 'https:') {
    const turns = chain.length === 1 ? 'none' : `${chain.length - 1}, to ${page.url}`
    return [ok(CHECK, chain[0]?.url ?? page.url, turns)]
  }
  const fix = `Causeway: routes.${route}.redirect_https = true (or Django: SECURE_SSL_REDIRECT = True), once TLS is in place`
  const what = `${hostname} is served over plain http: cookies, HSTS and CSRF are checked less strictly`
  return [hint(CHECK, page.url, what, fix)]
}

/** Are those sent on who come over plain http? Nobody needs to listen there. */
export function checkPlain(plain: Outcome | undefined, { route }: Names): Finding[] {
  if (plain?.kind !== 'answer') return []
  const target = targetOf(plain)
  if (target?.startsWith('https:')) return [ok(CHECK, plain.url, `redirects to ${target}`)]
  if (plain.status >= 400 || target !== undefined) return []
  const fix = `Causeway: routes.${route}.redirect_https = true (or Django: SECURE_SSL_REDIRECT = True)`
  return [hint(CHECK, plain.url, 'the same page is also served over plain http', fix)]
}
