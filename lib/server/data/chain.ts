import type { Kept } from '../../base/kept.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { ProxyAction, RouteConfig } from '../../config/model.ts'
import type { Gate, Handler } from '../../http/handler.ts'
import { CanaryChoice, CanaryHandler } from '../../proxy/canary.ts'
import { LinkRewriting } from '../../proxy/link-rewriting.ts'
import type { Sticky } from '../../proxy/sticky.ts'
import { StickyClients } from '../../proxy/sticky-clients.ts'
import { BodyLimit } from '../../route/body-limit.ts'
import type { ChallengeAnswers } from '../../route/challenge-answers.ts'
import { type HttpsRedirectParts, httpsRedirectOf } from '../../route/https-redirect.ts'
import { Maintenance } from '../../route/maintenance.ts'
import { Misdirected } from '../../route/misdirected.ts'
import { policyOf } from '../../route/route-policy.ts'
import { Shedding, type SheddingParts } from './shedding.ts'

// What a request meets between its head and its answer, in this order:
//
//   1. the head itself: 400, 405, 408, 414, 417, 431, 501, 505 (lib/wire, lib/front; there is no exchange)
//   2. entryGates, which every request meets before its route is known
//   3. the route: 404 NO_ROUTE, 400 where readings of the path lead to different routes (runtime.ts)
//   4. GATES, those that its route asks for, in the order of the list
//   5. STEPS and APP_STEPS, handlers around the route's own, from the outside in
//   6. the route's own handler: an upstream or a folder
//
// On its way out every final answer, also the refusals of step 4, gets what the route says about answers
// (`finished`, answer-policy.ts). docs/architecture.md has this as a table.

/** What gates are made with. */
export interface GateParts extends HttpsRedirectParts, SheddingParts {
  readonly env: ThreadEnv
  /** For what a gate counts: a gate itself goes with its snapshot. */
  readonly kept: Kept
}

type MakeGate = (route: RouteConfig, parts: GateParts) => Gate | undefined

const GATES: readonly MakeGate[] = [
  () => new BodyLimit(undefined),
  (route, parts) => httpsRedirectOf(route, parts),
  route =>
    route.maintenance === undefined ? undefined : new Maintenance(route.maintenance, policyOf(route)),
  ({ action }, parts) => (action.kind === 'proxy' ? new Shedding(action.priority, parts) : undefined),
]

/** The gates that every request meets before its route is known. */
export function entryGates(challenges: ChallengeAnswers): readonly Gate[] {
  return [new Misdirected(), challenges]
}

/** The gates of a route. What it does not ask for is not in the list, and costs it nothing. */
export function gatesOf(route: RouteConfig, parts: GateParts): readonly Gate[] {
  return GATES.flatMap(make => make(route, parts) ?? [])
}

/** What steps are made with. */
export interface StepParts {
  /** A handler, with its own steps, that asks another upstream than the route's. */
  handlerTo(upstream: string): Handler
}

/** Makes a handler around `inner`; `inner` itself where the route does not ask for one. */
type Step = (route: RouteConfig, inner: Handler, parts: StepParts) => Handler

/** Around the handler of a route, whatever answers there. */
const STEPS: readonly Step[] = [canary]

/** The same around a handler that asks an app: a route with a canary has two of those. */
type AppStep = (action: ProxyAction, inner: Handler, sticky: Sticky | undefined) => Handler

const APP_STEPS: readonly AppStep[] = [stickyClients, linkRewriting]

/** A route's own handler with what the route wants around it. */
export function chained(route: RouteConfig, inner: Handler, parts: StepParts): Handler {
  return STEPS.reduceRight((handler, step) => step(route, handler, parts), inner)
}

/** The handler of an app with what its route wants around it. `sticky`: of the upstream that it asks. */
export function chainedApp(action: ProxyAction, inner: Handler, sticky: Sticky | undefined): Handler {
  return APP_STEPS.reduceRight((handler, step) => step(action, handler, sticky), inner)
}

function canary({ name, action }: RouteConfig, inner: Handler, parts: StepParts): Handler {
  if (action.kind === 'static' || action.canary === undefined) return inner
  return new CanaryHandler(
    new CanaryChoice(name, action.canary),
    parts.handlerTo(action.canary.upstream),
    inner,
  )
}

function stickyClients(_: ProxyAction, inner: Handler, sticky: Sticky | undefined): Handler {
  return sticky === undefined ? inner : new StickyClients(sticky, inner)
}

function linkRewriting({ mount }: ProxyAction, inner: Handler): Handler {
  if (mount === undefined || !mount.rewriteAnswers || mount.stripPrefix === '') return inner
  return new LinkRewriting(mount.stripPrefix, inner)
}
