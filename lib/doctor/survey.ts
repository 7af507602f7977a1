import { randomUUID } from 'node:crypto'
import { type Answer, isHtml, isRedirect, leadsAway, type Outcome, targetOf } from './answer.ts'
import type { Client } from './client.ts'
import { cookieHeader } from './cookie.ts'
import { assetsIn, csrfTokenIn } from './page.ts'
import type { ProbePlan } from './probe-plan.ts'
import { type StallTrial, tryStalls } from './stall-trial.ts'

/** A host that nobody can own (RFC 2606 2). */
export const STRANGER = 'doctor.invalid'

/** What to look at. */
export interface SurveyPlan {
  readonly url: string
  readonly probes: readonly ProbePlan[]
  /** Path of a form that may be sent; undefined: nothing is posted. */
  readonly post: string | undefined
}

export interface Probe {
  readonly plan: ProbePlan
  readonly host: string
  /** The same page under the site's own name. */
  readonly own: Outcome
  readonly probed: Outcome
}

/** A request that claims to have come another way. */
export interface Spoof {
  readonly claimed: 'http' | 'https'
  readonly honest: Outcome
  readonly spoofed: Outcome
}

/** A form sent from an origin. */
export interface CsrfTrial {
  readonly from: 'own' | 'other-scheme' | 'no-port' | 'stranger'
  readonly origin: string
  readonly outcome: Outcome
}

export interface CsrfTest {
  readonly path: string
  readonly form: Outcome
  /** Empty if there is no form with a token. */
  readonly trials: readonly CsrfTrial[]
}

/** Everything that a site answered. The checks look at this and at nothing else. */
export interface Survey {
  /** From the URL along its redirects; the last one is the page, or what stopped us. */
  readonly chain: readonly Outcome[]
  readonly certificateProblem: string | undefined
  /** The site's plain http, where its https has the usual port. */
  readonly plain: Outcome | undefined
  /** The page once more, over a connection that should have stayed open. */
  readonly again: Outcome | undefined
  readonly pages: readonly Answer[]
  readonly missing: Outcome | undefined
  readonly stranger: Outcome | undefined
  readonly probes: readonly Probe[]
  readonly spoofs: readonly Spoof[]
  readonly assets: readonly Outcome[]
  readonly csrf: CsrfTest | undefined
  /** How the endpoints that the configuration has probed answer on a kept connection. */
  readonly stalls: readonly StallTrial[]
}

const MAX_REDIRECTS = 10
const MAX_ASSETS = 8
const CODED = { 'accept-encoding': 'br, gzip' }
/** Where Django's admin asks for a name. Reading it does nothing. */
const ADMIN = '/admin/login/'

/** Asks the site all that the checks want to know. Posts only what the plan says. */
export async function surveySite(client: Client, plan: SurveyPlan): Promise<Survey> {
  const chain = await follow(client, plan.url)
  const last = chain.at(-1) as Outcome
  const broken = last.kind === 'failure' || last.status >= 500
  const probes = await askProbes(client, plan.probes, chain)
  const stalls = await tryStalls(plan.probes)
  const base = { chain, probes, stalls, spoofs: broken ? [] : await askSpoofed(client, chain) }
  if (broken || isRedirect(last)) {
    // Each further question would only wait for the same.
    const nothing = {
      plain: undefined,
      again: undefined,
      missing: undefined,
      stranger: undefined,
      csrf: undefined,
    }
    return { ...base, ...nothing, certificateProblem: client.certificateProblem, pages: [], assets: [] }
  }
  const { url } = last
  const again = await client.ask({ url })
  const pages = await readPages(client, last, plan.post)
  const assets = await askAssets(client, pages)
  return {
    ...base,
    plain: isUsualHttps(url) ? await client.ask({ url: url.replace('https:', 'http:') }) : undefined,
    again,
    pages,
    missing: await client.ask({ url: new URL(`/causeway-doctor-${randomUUID()}`, url).href }),
    stranger: await client.ask({ url, fields: { host: STRANGER } }),
    csrf: plan.post === undefined ? undefined : await sendForms(client, url, plan.post),
    assets: await askPlainAgain(client, assets),
    certificateProblem: client.certificateProblem,
  }
}

function isUsualHttps(url: string): boolean {
  const { protocol, port } = new URL(url)
  return protocol === 'https:' && port === ''
}

async function follow(client: Client, url: string): Promise<Outcome[]> {
  const chain = [await client.ask({ url })]
  const seen = new Set([url])
  while (chain.length <= MAX_REDIRECTS) {
    const target = targetOf(chain.at(-1) as Outcome)
    if (target === undefined || seen.has(target) || leadsAway(url, target)) break
    seen.add(target)
    chain.push(await client.ask({ url: target }))
  }
  return chain
}

async function askSpoofed(client: Client, chain: readonly Outcome[]): Promise<Spoof[]> {
  const ends = new Set([chain[0] as Outcome, chain.at(-1) as Outcome])
  const spoofs: Spoof[] = []
  for (const honest of ends) {
    if (honest.kind === 'failure') continue
    for (const claimed of ['http', 'https'] as const) {
      const fields = {
        'x-forwarded-proto': claimed,
        'x-forwarded-host': STRANGER,
        'x-forwarded-for': '192.0.2.66',
        forwarded: `for=192.0.2.66;proto=${claimed};host=${STRANGER}`,
      }
      spoofs.push({ claimed, honest, spoofed: await client.ask({ url: honest.url, fields }) })
    }
  }
  return spoofs
}

async function readPages(client: Client, page: Answer, post: string | undefined): Promise<Answer[]> {
  const pages = [page]
  const others = [ADMIN, ...(post === undefined ? [] : [post])].map(path => new URL(path, page.url).href)
  for (const url of new Set(others)) {
    if (url === page.url) continue
    const outcome = await client.ask({ url })
    if (outcome.kind === 'answer' && outcome.status === 200) pages.push(outcome)
  }
  return pages
}

async function askProbes(
  client: Client,
  plans: readonly ProbePlan[],
  chain: readonly Outcome[],
): Promise<Probe[]> {
  const site = chain.at(-1) as Outcome
  const probes: Probe[] = []
  for (const plan of plans) {
    const { endpoint, path, headers } = plan
    const guessed = endpoint === undefined
    if (guessed && (site.kind === 'failure' || site.status >= 500 || isRedirect(site))) continue
    const host = plan.host ?? (site.kind === 'answer' ? site.peer : '')
    const question = { url: new URL(path, endpoint?.origin ?? site.url).href, socket: endpoint?.socket }
    const own = await client.ask({ ...question, fields: { ...headers, host: new URL(site.url).host } })
    probes.push({ plan, host, own, probed: await client.ask({ ...question, fields: { ...headers, host } }) })
  }
  return probes
}

async function askAssets(client: Client, pages: readonly Answer[]): Promise<Outcome[]> {
  const urls = new Set(pages.filter(isHtml).flatMap(({ text, url }) => assetsIn(text, url)))
  const outcomes: Outcome[] = []
  for (const url of [...urls].slice(0, MAX_ASSETS)) outcomes.push(await client.ask({ url, fields: CODED }))
  return outcomes
}

/**
 * Servers that compress in the background, as Causeway does, send a file as it is when it is first asked for.
 */
async function askPlainAgain(client: Client, assets: readonly Outcome[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const asset of assets) {
    const plain = asset.kind === 'answer' && asset.fields['content-encoding'] === undefined
    outcomes.push(plain ? await client.ask({ url: asset.url, fields: CODED }) : asset)
  }
  return outcomes
}

async function sendForms(client: Client, siteUrl: string, path: string): Promise<CsrfTest> {
  const url = new URL(path, siteUrl).href
  const form = await client.ask({ url })
  const token = form.kind === 'answer' ? csrfTokenIn(form.text) : undefined
  if (form.kind === 'failure' || token === undefined) return { path, form, trials: [] }
  const cookie = cookieHeader(form.fields['set-cookie'] ?? [])
  const text = `csrfmiddlewaretoken=${encodeURIComponent(token)}`
  const trials: CsrfTrial[] = []
  for (const [from, origin] of originsOf(url)) {
    // Once our own origin is let in, only a stranger's is of interest: no form is sent more often than it
    // must be.
    if (trials[0] !== undefined && !isRefused(trials[0].outcome) && from !== 'stranger') continue
    const fields = { cookie, origin, referer: `${origin}${new URL(url).pathname}` }
    trials.push({ from, origin, outcome: await client.ask({ url, form: text, fields }) })
  }
  return { path, form, trials }
}

function isRefused(outcome: Outcome): boolean {
  return outcome.kind === 'failure' || outcome.status === 403
}

/** Where a form may say that it comes from. */
function originsOf(url: string): (readonly [CsrfTrial['from'], string])[] {
  const { protocol, host, hostname, port, origin } = new URL(url)
  const origins: (readonly [CsrfTrial['from'], string])[] = [
    ['own', origin],
    ['other-scheme', `${protocol === 'https:' ? 'http:' : 'https:'}//${host}`],
  ]
  if (port !== '') origins.push(['no-port', `${protocol}//${hostname}`])
  origins.push(['stranger', `${protocol}//${STRANGER}`])
  return origins
}
