import { LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { STATE } from '../lib/base/shared-state.ts'
import { ENDPOINT_BLOCK } from '../upstreams/measures.ts'
import { CHECK_RESULTS, type EndpointHealth, STATE_CHANGES } from './facts.ts'
import { type Family, list, pushHistogram, type Sample, type View } from './family.ts'
import type { ShelvedEndpoint } from './shelves.ts'

const SERVER = ['upstream', 'server'] as const
const STATES = ['up', 'down', 'ejected', 'draining'] as const

/** What shared words and the control thread say about endpoints. */
export const ENDPOINT_FAMILIES: readonly Family[] = [
  {
    name: 'causeway_upstream_in_flight',
    type: 'gauge',
    labels: SERVER,
    help: 'Slots occupied at the server, across all data threads.',
    source: { kind: 'read', read: view => endpointGauge(view, ({ index }) => view.shared.inflight(index)) },
  },
  {
    name: 'causeway_upstream_connections',
    type: 'gauge',
    labels: [...SERVER, 'state'],
    help: 'Open connections to the server: idle in a pool, or in use.',
    source: list('endpoint', ENDPOINT_BLOCK.at.idle, 'state', ['idle', 'active']),
  },
  {
    name: 'causeway_upstream_server_up',
    type: 'gauge',
    labels: SERVER,
    help: '1 if in rotation, otherwise 0.',
    source: {
      kind: 'read',
      read: view => endpointGauge(view, ({ index }) => (view.shared.state(index) === 0 ? 1 : 0)),
    },
  },
  {
    name: 'causeway_upstream_server_state',
    type: 'gauge',
    labels: [...SERVER, 'state'],
    help: '1 for each state that the server is in; it is up if it is in no other state.',
    source: { kind: 'read', read: serverStates },
  },
  {
    name: 'causeway_upstream_server_weight',
    type: 'gauge',
    labels: SERVER,
    help: 'Configured weight.',
    source: {
      kind: 'read',
      read: view => endpointGauge(view, ({ weight }) => weight),
    },
  },
  {
    name: 'causeway_upstream_server_ramp_ratio',
    type: 'gauge',
    labels: SERVER,
    help: 'Share of its weight that the server currently receives: below 1 during slow start.',
    source: { kind: 'read', read: view => endpointGauge(view, ({ index }) => view.shared.ramp(index) / 100) },
  },
  {
    name: 'causeway_upstream_concurrency_limit',
    type: 'gauge',
    labels: SERVER,
    help: 'Learned limit of concurrent requests of the server; absent if nothing has been learned yet, or if adaptive is off.',
    source: { kind: 'read', read: learnedLimits },
  },
  {
    name: 'causeway_upstream_servers',
    type: 'gauge',
    labels: ['upstream', 'state'],
    help: 'Number of servers of the upstream in each state.',
    source: { kind: 'read', read: serverCounts },
  },
  {
    name: 'causeway_upstream_state_changes_total',
    type: 'counter',
    labels: [...SERVER, 'to'],
    help: 'State changes, by the new state of the server.',
    source: { kind: 'read', read: stateChanges },
  },
  {
    name: 'causeway_upstream_health_checks_total',
    type: 'counter',
    labels: [...SERVER, 'result'],
    help: 'Health checks by result; busy: no response because the server was busy with our own requests, which is not a failure.',
    source: { kind: 'read', read: healthChecks },
  },
  {
    name: 'causeway_upstream_health_check_duration_seconds',
    type: 'histogram',
    labels: ['upstream'],
    help: 'Duration of a health check, including failed ones.',
    source: { kind: 'read', read: checkDurations },
  },
]

function endpointGauge(view: View, gaugeOf: (endpoint: ShelvedEndpoint) => number): Sample[] {
  return view.live.endpoint.map(endpoint => ({ labels: endpoint.labels, value: gaugeOf(endpoint) }))
}

function learnedLimits(view: View): Sample[] {
  return endpointGauge(view, ({ index }) => view.shared.learned(index)).filter(({ value }) => value > 0)
}

/** What cannot be reached is down, whoever has found it out. */
const BITS = { ...STATE, down: STATE.down | STATE.unreachable } as const

function isIn(bits: number, state: (typeof STATES)[number]): boolean {
  return state === 'up' ? bits === 0 : (bits & BITS[state]) !== 0
}

function serverStates({ live, shared }: View): Sample[] {
  return live.endpoint.flatMap(({ labels, index }) => {
    const bits = shared.state(index)
    return STATES.map(state => ({
      labels: { state },
      sharedLabels: labels,
      value: isIn(bits, state) ? 1 : 0,
    }))
  })
}

function serverCounts({ live, shared }: View): Sample[] {
  const bitsOf = Map.groupBy(live.endpoint, endpoint => endpoint.upstream)
  return live.upstream.flatMap(({ labels, upstream }) => {
    const bits = (bitsOf.get(upstream) ?? []).map(endpoint => shared.state(endpoint.index))
    return STATES.map(state => ({
      labels: { state },
      sharedLabels: labels,
      value: bits.filter(each => isIn(each, state)).length,
    }))
  })
}

/** Lines of every endpoint that has ever been checked or changed. */
function healthSamples(
  view: View,
  label: string,
  counts: (health: EndpointHealth) => [string, number][],
): Sample[] {
  return view.kept.endpoint.flatMap(({ labels, upstream, server }) => {
    const health = view.facts.health.endpoint(upstream, server)
    if (health === undefined) return []
    return counts(health).map(([name, value]) => ({ labels: { [label]: name }, sharedLabels: labels, value }))
  })
}

function stateChanges(view: View): Sample[] {
  return healthSamples(view, 'to', health => STATE_CHANGES.map(to => [to, health.changes[to]]))
}

function healthChecks(view: View): Sample[] {
  return healthSamples(view, 'result', health => CHECK_RESULTS.map(result => [result, health.checks[result]]))
}

function checkDurations(view: View): Sample[] {
  const out: Sample[] = []
  for (const { labels, upstream } of view.kept.upstream) {
    const cells = view.facts.health.checkSeconds(upstream)
    if (cells === undefined) continue
    const name = 'causeway_upstream_health_check_duration_seconds'
    pushHistogram(out, name, labels, LATENCY_BOUNDS, index => cells[index] ?? 0)
  }
  return out
}
