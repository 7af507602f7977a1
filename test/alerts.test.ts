import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'

// Which alerts fire when: Prometheus' own promtool plays the series to the rules.

const { CI } = process.env
const skip =
  CI === undefined && spawnSync('promtool', ['--version']).error !== undefined
    ? 'promtool is not installed (Debian: prometheus)'
    : false

interface Scene {
  readonly promise: string
  /** A sample a minute in promtool's notation: `0+10x60` rises by ten, sixty times. */
  readonly series: Readonly<Record<string, string>>
  readonly at: string
  /** Labels of the alerts of each name; an empty list: it does not fire. */
  readonly fires: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>
}

const SCENES: readonly Scene[] = [
  {
    promise: 'a route that is closed on purpose pages nobody; one that fails does',
    series: {
      'causeway_requests_total{instance="a",route="shop",code="503"}': '0+60x90',
      'causeway_responses_generated_total{instance="a",route="shop",reason="maintenance"}': '0+60x90',
      'causeway_requests_total{instance="a",route="api",code="502"}': '0+6x90',
      'causeway_requests_total{instance="a",route="api",code="200"}': '0+54x90',
    },
    at: '80m',
    fires: {
      CausewayErrorBudgetBurn: [{ severity: 'page', instance: 'a', route: 'api' }],
      CausewayMaintenanceForgotten: [],
    },
  },
  {
    promise: 'a closed route whose bypassing visitors get errors of the app still pages',
    series: {
      'causeway_requests_total{instance="a",route="shop",code="503"}': '0+60x90',
      'causeway_requests_total{instance="a",route="shop",code="500"}': '0+10x90',
      'causeway_responses_generated_total{instance="a",route="shop",reason="maintenance"}': '0+60x90',
    },
    at: '80m',
    fires: { CausewayErrorBudgetBurn: [{ severity: 'page', instance: 'a', route: 'shop' }] },
  },
  {
    // promtool's clock begins at 0.
    promise: 'a certificate that expires in ten days is a ticket, one that expires tomorrow pages',
    series: {
      'causeway_certificate_expiry_timestamp_seconds{instance="a",listener="web",name="ten.test",key="ec",source="files"}':
        '871200x120',
      'causeway_certificate_expiry_timestamp_seconds{instance="a",listener="web",name="one.test",key="ec",source="acme"}':
        '93600x120',
      'causeway_certificate_expiry_timestamp_seconds{instance="a",listener="web",name="far.test",key="ec",source="files"}':
        '7776000x120',
    },
    at: '100m',
    fires: {
      CausewayCertificateExpires: [
        { severity: 'ticket', instance: 'a', listener: 'web', name: 'ten.test', key: 'ec', source: 'files' },
      ],
      CausewayCertificateExpiresSoon: [
        { severity: 'page', instance: 'a', listener: 'web', name: 'one.test', key: 'ec', source: 'acme' },
      ],
    },
  },
  {
    promise: 'a certificate that cannot be had is a ticket, one that the second try has got is none',
    series: {
      'causeway_certificate_problems{instance="a"}': '1x120',
      'causeway_certificate_problems{instance="b"}': '1x20 0x100',
    },
    at: '100m',
    fires: { CausewayCertificateProblems: [{ severity: 'ticket', instance: 'a' }] },
  },
  {
    promise: 'a route that was forgotten while closed',
    series: {
      'causeway_responses_generated_total{instance="a",route="shop",reason="maintenance"}': '0+1x500',
    },
    at: '400m',
    fires: { CausewayMaintenanceForgotten: [{ severity: 'ticket', instance: 'a', route: 'shop' }] },
  },
  {
    promise: 'no room for an upload pages at once, no room for an answer does not',
    series: {
      'causeway_spool_bodies_total{instance="a",body="request",outcome="full"}': '0x10 1x10',
      'causeway_spool_bodies_total{instance="a",body="response",outcome="full"}': '0x10 1x10',
      'causeway_spool_bodies_total{instance="b",body="request",outcome="abandoned"}': '0+9x20',
    },
    at: '12m',
    fires: {
      CausewayUploadsRefused: [{ severity: 'page', instance: 'a' }],
      CausewayReadAheadFull: [],
    },
  },
  {
    promise: 'tunnels that are cut for silence count only in masses',
    series: {
      'causeway_exchange_ends_total{instance="a",route="chat",end="tunnel_idle"}': '0+1x120',
      'causeway_requests_total{instance="a",route="chat",code="101"}': '0+1x120',
      'causeway_exchange_ends_total{instance="a",route="live",end="tunnel_idle"}': '0+1x120',
      'causeway_requests_total{instance="a",route="live",code="101"}': '0+10x120',
      'causeway_exchange_ends_total{instance="a",route="few",end="tunnel_idle"}': '0x100 5x20',
      'causeway_requests_total{instance="a",route="few",code="101"}': '0x100 5x20',
    },
    at: '110m',
    fires: { CausewayTunnelsIdleCut: [{ severity: 'ticket', instance: 'a', route: 'chat' }] },
  },
  {
    promise: 'settings that do not fit, and a manifest that is broken, are tickets',
    series: {
      'causeway_exchange_ends_total{instance="a",route="app",end="length_required"}': '0x10 1x30',
      'causeway_exchange_ends_total{instance="a",route="app",end="bad_request"}': '0+5x40',
      'causeway_static_manifest_errors_total{instance="a"}': '0x10 1x30',
    },
    at: '15m',
    fires: {
      CausewaySettingsRefuse: [{ severity: 'ticket', instance: 'a', route: 'app', end: 'length_required' }],
      CausewayManifestBroken: [{ severity: 'ticket', instance: 'a' }],
    },
  },
  {
    promise: 'a process that refuses requests pages with its cause; a moment of it does not',
    series: {
      'causeway_overload{instance="a",cause="memory"}': '0x5 1x30',
      'causeway_overload{instance="a",cause="loop"}': '0x5 1 0x30',
    },
    at: '10m',
    fires: { CausewayOverloaded: [{ severity: 'page', instance: 'a', cause: 'memory' }] },
  },
  {
    promise: 'work for clients that have left is a ticket when it is most of the work',
    series: {
      'causeway_upstream_abandoned_in_flight{instance="a",upstream="app",server="x"}': '3x30',
      'causeway_upstream_in_flight{instance="a",upstream="app",server="x"}': '4x30',
      'causeway_upstream_abandoned_in_flight{instance="a",upstream="api",server="y"}': '1x30',
      'causeway_upstream_in_flight{instance="a",upstream="api",server="y"}': '4x30',
    },
    at: '20m',
    fires: { CausewayAbandonedWork: [{ severity: 'ticket', instance: 'a', upstream: 'app' }] },
  },
]

/** As promtool wants it; JSON is YAML. Only labels are compared: texts may change. */
function ruleTest({ series, at, fires }: Scene): string {
  return JSON.stringify({
    rule_files: [resolve('metrics/alerts/causeway.yaml')],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: Object.entries(fires).map(([alertname, labels]) => ({
          expr: `ALERTS{alertname="${alertname}",alertstate="firing"}`,
          eval_time: at,
          exp_samples: labels.map(each => ({
            labels: `ALERTS${selectorOf({ alertname, alertstate: 'firing', ...each })}`,
            value: 1,
          })),
        })),
      },
    ],
  })
}

function selectorOf(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels).map(([name, value]) => `${name}="${value}"`)}}`
}

for (const scene of SCENES) {
  t.test(scene.promise, { skip }, async t => {
    const folder = t.testdir({ 'rules.json': ruleTest(scene) })
    const ran = spawnSync('promtool', ['test', 'rules', `${folder}/rules.json`], { encoding: 'utf8' })
    t.equal(ran.status, 0, ran.stdout + ran.stderr)
  })
}
