import { readFileSync } from 'node:fs'
import t from 'tap'
import { CATALOGUE } from '../metrics/catalogue.ts'

interface Target {
  readonly expr: string
  readonly datasource: { readonly uid: string }
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly targets?: readonly Target[]
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

const text = readFileSync('metrics/grafana/causeway.json', 'utf8')
const dashboard = JSON.parse(text) as Dashboard
const queries = dashboard.panels.flatMap(panel => panel.targets ?? [])
const definitions = dashboard.templating.list.flatMap(({ definition }) => definition ?? [])
const expressions = [...queries.map(({ expr }) => expr), ...definitions]

/** The metric's name and its selector: `causeway_x{a="b"}`. */
const SELECTORS = /\b(causeway_[a-z0-9_]+)(?:\{([^}]*)\})?/g
/** Labels that Prometheus adds by itself. */
const TARGET_LABELS = ['job', 'instance']

/** Names that a family has in PromQL. */
function seriesOf({ name, type }: (typeof CATALOGUE)[number]): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
}

t.test('the dashboard names metrics that exist, and labels that they have', async t => {
  const families = new Map(CATALOGUE.flatMap(family => seriesOf(family).map(name => [name, family])))
  let seen = 0
  for (const expression of expressions) {
    for (const [, name = '', selector = ''] of expression.matchAll(SELECTORS)) {
      seen += 1
      const family = families.get(name)
      t.ok(family, name)
      for (const [, label = ''] of selector.matchAll(/([a-z_]+)(?==|!)/g))
        t.ok([...(family?.labels ?? []), ...TARGET_LABELS].includes(label), `${name} has a label ${label}`)
    }
  }
  t.ok(seen > 30)
})

t.test('every rate has the interval that Grafana finds for it', async t => {
  const rates = expressions.filter(expression => /\brate\(/.test(expression))
  t.ok(rates.length > 20)
  for (const rate of rates) t.match(rate, '[$__rate_interval]')
  for (const { datasource } of queries) t.equal(datasource.uid, '$' + '{datasource}')
})

t.test('every panel has a name and a number of its own', async t => {
  const ids = dashboard.panels.map(({ id }) => id)
  t.equal(new Set(ids).size, ids.length)
  t.ok(dashboard.panels.every(({ title }) => title !== ''))
  t.same(
    dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title),
    [
      'Overview: rate, errors, duration',
      'Where the time goes',
      'Upstreams and their endpoints',
      'Slow clients, tunnels, static files',
      'Saturation',
      'Configuration and reloads',
    ],
  )
})
