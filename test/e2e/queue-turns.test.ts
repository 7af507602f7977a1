import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// All data threads together are one queue.

const WAITERS = 24

t.test('a freed slot goes to whoever has waited longest, whichever data thread it came to', async t => {
  const app = await RecordingUpstream.start(t)
  const lines: UpstreamLine[] = []
  for (let n = 0; n <= WAITERS; n += 1) app.on(`/${n}`, line => void lines.push(line))
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: [app.port],
      workers: 3,
      upstream: 'max_inflight = 1\nqueue = { length = 100, timeout = "10m" }',
    }),
  })
  const answers: Promise<{ readonly status: number }>[] = []
  for (let n = 0; n <= WAITERS; n += 1) {
    answers.push(ask(causeway.port(), get(`/${n}`)))
    if (n === 0) await until('the first to have the slot', () => lines.length === 1)
    else await causeway.metric('causeway_upstream_queue_depth', {}, depth => depth === n)
  }
  for (let n = 0; n <= WAITERS; n += 1) {
    await until(`${n + 1} to have had the slot`, () => lines.length === n + 1)
    lines[n]?.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  }
  for (const answer of answers) t.equal((await answer).status, 200)
  t.same(
    app.requests.map(({ target }) => target),
    Array.from({ length: WAITERS + 1 }, (_, n) => `/${n}`),
  )
  await assertClean(t, causeway, [app])
})

t.test('16 clients on 8 slots, each asking again and again: none is refused', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/view', async line => {
    await pause(800)
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const causeway = await startCauseway(t, {
    // What a view takes to the longest wait as 4 s to 10 s.
    config: configText({
      endpoints: [app.port],
      workers: 2,
      upstream: 'max_inflight = 8\nqueue = { length = 1024, timeout = "2s" }',
    }),
  })
  const statuses: number[] = []
  const client = async () => {
    for (let n = 0; n < 6; n += 1) statuses.push((await ask(causeway.port(), get('/view'))).status)
  }
  await Promise.all(Array.from({ length: 16 }, client))
  t.same(
    statuses,
    Array.from({ length: 96 }, () => 200),
  )
  const waits = causeway.access.map(line => Number(line['queue_ms'] ?? 0)).toSorted((a, b) => a - b)
  t.comment(`waits: ${waits.map(Math.round).join(' ')}`)
  await assertClean(t, causeway, [app])
})
