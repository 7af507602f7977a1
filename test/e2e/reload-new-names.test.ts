import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const RELOADS = 600
const SCRAPE_EVERY = 50
/** Series of everything that is there, and of what is remembered of the names before. */
const MOST_SERIES = 20_000

/** Counters and buckets by their whole line but the value. */
async function countersOf(running: Running): Promise<Map<string, number>> {
  const text = await (await fetch(`${running.adminUrl}/metrics`)).text()
  const lines = text.split('\n').filter(line => /^causeway_\w+_(total|bucket|count|sum)[{ ]/.test(line))
  return new Map(
    lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  )
}

t.test(`${RELOADS} reloads, each with a route and an upstream that were never there before`, async t => {
  const app = await RecordingUpstream.start(t)
  const running = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })
  const path = join(running.configFolder, 'more.toml')
  const client = await RawClient.connect(running.port())
  const ask = async (target: string) => {
    client.send(get(target))
    t.equal((await client.response()).status, 200, target)
  }
  let before = new Map<string, number>()
  let series = 0
  for (let n = 1; n <= RELOADS; n += 1) {
    writeFileSync(
      path,
      `[upstreams.u${n}]\nendpoints = ["127.0.0.1:${app.port}"]\n[routes.r${n}]\npath = "/r${n}/"\nupstream = "u${n}"`,
    )
    const answer = await fetch(`${running.adminUrl}/reload`, { method: 'POST' })
    if (answer.status !== 200) t.fail(`reload ${n}: ${await answer.text()}`)
    else await answer.arrayBuffer()
    await ask(`/r${n}/x`)
    await ask('/app')
    if (n % SCRAPE_EVERY !== 0) continue
    const now = await countersOf(running)
    const fallen = [...now].filter(([name, value]) => value < (before.get(name) ?? 0))
    t.same(fallen, [], `after ${n} no counter has gone backwards`)
    t.ok(
      now.has([...now.keys()].find(name => name.includes(`route="r${n}"`)) ?? ''),
      'the newest name is there',
    )
    series = now.size
    t.ok(series < MOST_SERIES, `${series} series`)
    before = now
  }
  const metrics = await running.metrics()
  t.equal(
    metrics.sum('causeway_requests_total', { route: 'app' }),
    RELOADS,
    'what stays has all of its counts',
  )
  client.destroy()
  await assertClean(t, running, [app])
})
